#pragma once
// The one place that names the coroutine machinery. Rules (docs/architecture.md):
// parameters of spawned work are taken by value, no capturing coroutine lambdas, nothing is detached.
#include "consign/base/error.hpp"
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stop_token>

namespace consign::net {

namespace asio = boost::asio;

/// Every coroutine runs on one io_context, which one thread runs: no strands, no locks per connection.
using Executor = asio::io_context::executor_type;
template <class T = void>
using Async = asio::awaitable<T, Executor>;
inline constexpr asio::use_awaitable_t<Executor> use_async{};

using SteadyTime = std::chrono::steady_clock::time_point;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;

/// Waits; returns early, without error, when the coroutine is cancelled (ask `cancelled()`).
Async<void> sleep_until(SteadyTime deadline);
Async<void> sleep_for(std::chrono::milliseconds duration);
/// Whether the current coroutine was asked to stop.
Async<bool> cancelled();

/// Owns coroutines started on one executor: stop() asks all to end, join() awaits them. A child that
/// throws is logged and ends alone. Not thread-safe: use it on its executor's thread. The destructor
/// requires that all children have ended (join first).
class TaskGroup {
  public:
    explicit TaskGroup(Executor executor);
    ~TaskGroup();
    void spawn(Async<void> child);
    void stop();
    Async<void> join();
    std::size_t size() const;

  private:
    struct State;
    std::shared_ptr<State> state_;
};

/// Threads for work that blocks (files, subprocesses, compression). Joined on destruction.
class BlockingPool {
  public:
    explicit BlockingPool(std::size_t threads);
    ~BlockingPool();

    /// Runs `work` on a pool thread and resumes the caller on its own executor with what it returned.
    /// A started piece of work is not interrupted by cancellation: the caller resumes when it is done.
    template <class F>
    Async<std::invoke_result_t<F>> run(F work) {
        using T = std::invoke_result_t<F>;
        auto slot = std::make_shared<std::optional<T>>();
        auto shared = std::make_shared<F>(std::move(work));
        co_await post_and_wait([slot, shared] { slot->emplace((*shared)()); });
        co_return std::move(**slot);
    }

  private:
    Async<void> post_and_wait(std::function<void()> work);
    struct State;
    std::unique_ptr<State> state_;
};

/// One io_context with a thread of its own: where the agents and the client run their coroutines.
class IoThread {
  public:
    IoThread();
    ~IoThread(); ///< stops the context and joins
    Executor executor();
    BlockingPool& blocking();

    /// From a thread that is not this I/O thread: runs `work` there and waits for its result. When `stop`
    /// is requested the coroutine is cancelled and the result is whatever it then returns.
    template <class T>
    Result<T> run(Async<Result<T>> work, std::stop_token stop = {}) {
        auto promise = std::make_shared<std::promise<Result<T>>>();
        auto future = promise->get_future();
        start(deliver<T>(std::move(work), std::move(promise)), std::move(stop));
        try {
            return future.get();
        } catch (const std::future_error&) { // the context was stopped under it
            return fail(Code::cancelled, "the I/O thread ended before the work did");
        }
    }

  private:
    template <class T>
    static Async<void> deliver(Async<Result<T>> work, std::shared_ptr<std::promise<Result<T>>> promise) {
        try {
            promise->set_value(co_await std::move(work));
        } catch (...) {
            promise->set_value(std::unexpected(current_failure()));
        }
    }
    static Error current_failure(); ///< of the exception being handled: cancelled, or internal
    void start(Async<void> work, std::stop_token stop);
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace consign::net
