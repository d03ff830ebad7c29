#include "consign/net/async.hpp"
#include "unit/net/support.hpp"
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

using namespace consign;
using namespace consign::net;
using namespace std::chrono_literals;

namespace {
Async<Result<int>> value(int v) { co_return v; }
Async<Result<int>> sleeps() {
    co_await sleep_for(1h);
    if (co_await cancelled()) co_return fail(Code::cancelled, "woken");
    co_return 1;
}
Async<Result<int>> throws(bool aborted) {
    co_await sleep_for(0ms);
    if (aborted) throw boost::system::system_error(asio::error::operation_aborted);
    throw std::runtime_error("boom");
}
Async<Result<int>> blocks(BlockingPool* pool, std::atomic<bool>* finished) {
    co_return co_await pool->run([finished] {
        std::this_thread::sleep_for(200ms);
        *finished = true;
        return Result<int>(7);
    });
}
Async<Result<int>> blocks_and_throws(BlockingPool* pool) {
    co_return co_await pool->run([]() -> int { throw std::runtime_error("inside"); });
}
Async<void> child(std::shared_ptr<int> ended, std::chrono::milliseconds duration, bool fails) {
    co_await sleep_for(duration);
    ++*ended;
    if (fails) throw std::runtime_error("a child's own trouble");
}
Async<Result<int>> group_of_three(Executor executor, bool stop) {
    TaskGroup group(executor);
    auto ended = std::make_shared<int>(0);
    group.spawn(child(ended, 1ms, true));
    group.spawn(child(ended, stop ? 1h : 5ms, false));
    if (stop) group.stop();
    group.spawn(child(ended, stop ? 1h : 10ms, false)); // after stop(): cancelled at once
    co_await group.join();
    if (group.size() != 0) co_return fail(Code::internal, "children left");
    co_return *ended;
}
} // namespace

TEST_CASE("an I/O thread runs coroutines to their results") {
    IoThread io;
    CHECK(io.run(value(42)) == 42);
    CHECK(io.run(throws(false)).error().code == Code::internal);
    CHECK(io.run(throws(true)).error().code == Code::cancelled);
}

TEST_CASE("a stop request cancels the coroutine, before or while it runs") {
    IoThread io;
    std::stop_source before;
    before.request_stop();
    CHECK(io.run(sleeps(), before.get_token()).error().code == Code::cancelled);
    std::stop_source during;
    std::thread asker([&] {
        std::this_thread::sleep_for(50ms);
        during.request_stop();
    });
    CHECK(io.run(sleeps(), during.get_token()).error().code == Code::cancelled);
    asker.join();
}

TEST_CASE("an I/O thread goes away while work is pending") {
    Result<int> result = 0;
    std::thread caller;
    {
        IoThread io;
        caller = std::thread([&] { result = io.run(sleeps()); });
        std::this_thread::sleep_for(100ms);
    }
    caller.join();
    CHECK(result.error().code == Code::cancelled);
}

TEST_CASE("blocking work is finished even when its caller is cancelled") {
    IoThread io;
    std::atomic<bool> finished = false;
    std::stop_source stop;
    stop.request_stop();
    CHECK(io.run(blocks(&io.blocking(), &finished), stop.get_token()) == 7);
    CHECK(finished);
    CHECK(io.run(blocks_and_throws(&io.blocking())).error().message == "inside");
}

TEST_CASE("a group joins children that end, fail, or are stopped") {
    IoThread io;
    CHECK(io.run(group_of_three(io.executor(), false)) == 3);
    CHECK(io.run(group_of_three(io.executor(), true)) == 3);
}

TEST_CASE("many deadlines come due in order") {
    IoThread io;
    struct Steps {
        static Async<void> one(std::shared_ptr<std::vector<int>> order, int i) {
            co_await sleep_for(std::chrono::milliseconds(200 - 10 * i));
            order->push_back(i);
        }
        static Async<Result<int>> all(Executor executor, std::shared_ptr<std::vector<int>> order) {
            TaskGroup group(executor);
            for (int i = 0; i < 20; ++i) group.spawn(one(order, i));
            co_await group.join();
            co_return 0;
        }
    };
    auto order = std::make_shared<std::vector<int>>();
    CHECK(io.run(Steps::all(io.executor(), order)) == 0);
    CHECK(order->size() == 20);
    CHECK(std::ranges::is_sorted(*order, std::greater<>{}));
}
