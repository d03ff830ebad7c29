#include "consign/base/log.hpp"
#include "consign/net/visit.hpp"
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>
#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>

namespace consign::net {

namespace {
// Work that was cancelled ends within milliseconds, unless it is inside the blocking pool (a file, a
// subprocess that gets its SIGTERM). Past this, it is a bug, and the destructor must not hang for it.
constexpr auto kStopWithin = std::chrono::seconds(10);
constexpr std::size_t kBlockingThreads = 4;

struct Running {
    asio::cancellation_signal signal;
    std::optional<std::stop_callback<std::function<void()>>> on_stop;
};

Async<void> without_throwing(Async<void> work) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await std::move(work);
}
} // namespace

struct IoThread::State {
    asio::io_context context{1};
    asio::executor_work_guard<Executor> guard{context.get_executor()};
    std::mutex mutex;
    std::condition_variable changed;
    bool stopping = false; // on the I/O thread
    bool ended = false;    // under the mutex
    std::list<std::shared_ptr<Running>> running;
    std::once_flag pool_once;
    std::unique_ptr<BlockingPool> pool;
    std::thread thread;

    void finish_if_idle() {
        if (!stopping || !running.empty()) return;
        const std::scoped_lock lock(mutex);
        ended = true;
        changed.notify_all();
    }

    void launch(Async<void> work, const std::stop_token& stop) {
        const auto item = running.insert(running.end(), std::make_shared<Running>());
        asio::co_spawn(
            context.get_executor(), without_throwing(std::move(work)),
            asio::bind_cancellation_slot((*item)->signal.slot(), [this, item](const std::exception_ptr&) {
                running.erase(item);
                finish_if_idle();
            }));
        // The callback runs on whatever thread asks to stop: it only posts. Its destructor waits for a
        // callback that is running, so that nothing is posted after `running` let go of the item.
        (*item)->on_stop.emplace(stop, [this, weak = std::weak_ptr(*item)] {
            asio::post(context, [weak] {
                if (const auto alive = weak.lock()) alive->signal.emit(asio::cancellation_type::terminal);
            });
        });
        if (stopping) (*item)->signal.emit(asio::cancellation_type::terminal);
    }
};

IoThread::IoThread() : state_(std::make_unique<State>()) {
    state_->thread = std::thread([state = state_.get()] {
        for (;;) {
            try {
                state->context.run();
                return;
            } catch (const std::exception& e) {
                log::error("a callback failed on an I/O thread", {{"error", e.what()}});
            }
        }
    });
}

IoThread::~IoThread() {
    asio::post(state_->context, [state = state_.get()] {
        state->stopping = true;
        for (auto& item : state->running) item->signal.emit(asio::cancellation_type::terminal);
        state->finish_if_idle();
    });
    {
        std::unique_lock lock(state_->mutex);
        if (!state_->changed.wait_for(lock, kStopWithin, [this] { return state_->ended; }))
            log::error("work on an I/O thread ignored its cancellation");
    }
    state_->pool.reset(); // posts its last results into the context, which must still be there
    state_->context.stop();
    state_->thread.join();
    await_visits(state_->context);
}

Executor IoThread::executor() { return state_->context.get_executor(); }

BlockingPool& IoThread::blocking() {
    std::call_once(state_->pool_once,
                   [this] { state_->pool = std::make_unique<BlockingPool>(kBlockingThreads); });
    return *state_->pool;
}

Error IoThread::current_failure() {
    try {
        throw;
    } catch (const boost::system::system_error& e) {
        return {e.code() == asio::error::operation_aborted ? Code::cancelled : Code::internal, e.what()};
    } catch (const std::exception& e) {
        return {Code::internal, e.what()};
    } catch (...) {
        return {Code::internal, "an exception of an unknown type"};
    }
}

void IoThread::start(Async<void> work, std::stop_token stop) {
    asio::post(state_->context, [state = state_.get(), work = std::move(work),
                                 stop = std::move(stop)]() mutable { state->launch(std::move(work), stop); });
}

} // namespace consign::net
