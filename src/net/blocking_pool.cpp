#include "consign/net/visit.hpp"
#include "net/gate.hpp"
#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace consign::net {

struct BlockingPool::State {
    std::mutex mutex;
    std::condition_variable wake;
    std::deque<std::function<void()>> queue;
    std::vector<std::thread> threads;
    bool stopping = false;

    void work() {
        std::unique_lock lock(mutex);
        for (;;) {
            wake.wait(lock, [this] { return stopping || !queue.empty(); });
            if (queue.empty()) return;
            auto job = std::move(queue.front());
            queue.pop_front();
            lock.unlock();
            job();
            job = nullptr; // what it captured goes before the lock is taken again
            lock.lock();
        }
    }
};

BlockingPool::BlockingPool(std::size_t threads) : state_(std::make_unique<State>()) {
    for (std::size_t i = 0; i < std::max<std::size_t>(threads, 1); ++i)
        state_->threads.emplace_back([state = state_.get()] { state->work(); });
}

// What is queued still runs: its callers wait for it, and are resumed only by its end.
BlockingPool::~BlockingPool() {
    {
        const std::scoped_lock lock(state_->mutex);
        state_->stopping = true;
    }
    state_->wake.notify_all();
    for (auto& thread : state_->threads) thread.join();
}

Async<void> BlockingPool::post_and_wait(std::function<void()> work) {
    struct Slot {
        Gate done;
        std::exception_ptr failure;
    };
    const Executor executor = co_await asio::this_coro::executor;
    auto slot = std::make_shared<Slot>();
    {
        const std::scoped_lock lock(state_->mutex);
        state_->queue.push_back(
            [work = std::move(work), slot, executor, visit = std::make_shared<Visit>(executor)]() mutable {
                try {
                    work();
                } catch (...) {
                    slot->failure = std::current_exception();
                }
                work = nullptr;
                // The slot holds the suspended coroutine: its last reference must go on the I/O thread.
                asio::post(executor, [held = std::move(slot)] { held->done.open(); });
            });
    }
    state_->wake.notify_one();
    co_await slot->done.wait_uncancelled();
    if (slot->failure) std::rethrow_exception(slot->failure);
}

} // namespace consign::net
