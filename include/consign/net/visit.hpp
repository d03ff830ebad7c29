#pragma once
#include "consign/net/async.hpp"
#include <atomic>

namespace consign::net {

/// Held by a thread that will resume a coroutine on another thread's context: made on the I/O thread before
/// the work is handed over, so that the context is there, and dropped by the other thread once it has posted.
/// A post wakes the I/O thread before it returns: without this the coroutine could end, and its context with
/// it, while the poster is still inside.
class Visit {
  public:
    explicit Visit(const Executor& executor);
    ~Visit() { --*count_; }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

  private:
    std::shared_ptr<std::atomic<int>> count_;
};

/// Before a context is destroyed, once no coroutine is left in it: until all visits are over (microseconds).
void await_visits(asio::io_context& context);

} // namespace consign::net
