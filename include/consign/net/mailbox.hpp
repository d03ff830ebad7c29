#pragma once
#include "consign/net/async.hpp"
#include <atomic>
#include <mutex>

namespace consign::net {

enum class Wake {
    notified, ///< the version moved past the one seen
    deadline,
    gone,     ///< the peer hung up, or the wait was cancelled
    draining, ///< the server is shutting down: answer what you have, now
};

/// A version counter that coroutines of any I/O thread wait on. Read version() before you look at the
/// state, wait_past() it afterwards: no wake-up is lost. notify() may be called from any thread.
class Mailbox {
  public:
    Mailbox();
    ~Mailbox();
    std::uint64_t version() const;
    void notify();
    std::size_t waiters() const;

  private:
    friend class Parking;
    struct State;
    std::shared_ptr<State> state_;
};

} // namespace consign::net
