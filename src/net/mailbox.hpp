#pragma once
#include "consign/net/mailbox.hpp"
#include "net/deadline.hpp"
#include "net/gate.hpp"
#include <list>

namespace consign::net {

/// One wait. `wake` is for the I/O thread of the waiter; the first reason counts, except that `gone`
/// overrides: work must not be claimed for a peer that is no longer there.
struct MailboxWaiter final : Expirable {
    explicit MailboxWaiter(Executor on) : executor(on) {}
    Executor executor;
    Gate gate;
    std::optional<Wake> why;

    void wake(Wake reason) {
        if (!why || reason == Wake::gone) why = reason;
        gate.open();
    }
    void expired() override { wake(Wake::deadline); }
};

struct Mailbox::State {
    std::mutex mutex;
    std::atomic<std::uint64_t> version = 1;
    std::list<std::shared_ptr<MailboxWaiter>> waiters;
};

} // namespace consign::net
