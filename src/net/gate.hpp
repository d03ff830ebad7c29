#pragma once
#include "consign/net/async.hpp"
#include <boost/asio/async_result.hpp>
#include <optional>

namespace consign::net {

/// One coroutine waits, someone on the same executor opens. Unlike a timer it costs nothing but itself.
/// Not thread-safe: from another thread, post the open(). It must outlive the wait.
class Gate {
  public:
    Gate() = default;
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;

    /// Until open(), or the coroutine is cancelled.
    Async<void> wait();
    /// Until open(), whatever happens: for joins, and for work that cannot be interrupted.
    Async<void> wait_uncancelled();
    /// wait() without a frame of its own, for a caller that waits in great numbers and has looked itself: the gate
    /// is not open, and the coroutine is not cancelled.
    Async<void> wait_unopened() { return suspend(true); }
    void open();
    bool is_open() const { return open_; }

  private:
    using Waiter = asio::async_result<asio::use_awaitable_t<Executor>, void()>::handler_type;
    void resume();
    Async<void> suspend(bool cancellable);

    std::optional<Waiter> waiter_;
    bool open_ = false;
};

} // namespace consign::net
