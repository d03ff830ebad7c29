#pragma once
#include "consign/net/server.hpp"

namespace consign::agent {

inline constexpr net::SteadyTime kNoDeadline = net::SteadyTime::max(); // takes no timer

/// Waits until the mailbox moves past `seen` or the deadline comes. The agent has no peer whose hanging up
/// could end a wait, so there is nothing to watch.
inline net::Async<void> wait_past(net::Mailbox& mailbox, std::uint64_t seen, net::SteadyTime deadline) {
    struct NoPeer final : net::Parking {
        void watch(std::function<void(net::Wake)>) override {}
        void unwatch() override {}
    };
    NoPeer nobody;
    co_await nobody.wait_past(mailbox, seen, deadline);
}

} // namespace consign::agent
