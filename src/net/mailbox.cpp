#include "net/mailbox.hpp"
#include "consign/net/server.hpp"
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

namespace consign::net {

Mailbox::Mailbox() : state_(std::make_shared<State>()) {}
Mailbox::~Mailbox() = default;

std::uint64_t Mailbox::version() const { return state_->version.load(); }

std::size_t Mailbox::waiters() const {
    const std::scoped_lock lock(state_->mutex);
    return state_->waiters.size();
}

// The posts happen under the lock: a waiter that has taken itself off the list is never posted to again,
// so that its io_context may be destroyed. Waiters stay listed until they have run; a second notify
// before that is a second, harmless post.
void Mailbox::notify() {
    const std::scoped_lock lock(state_->mutex);
    ++state_->version;
    for (const auto& waiter : state_->waiters)
        asio::post(waiter->executor, [waiter] { waiter->wake(Wake::notified); });
}

Async<Wake> Parking::wait_past(Mailbox& mailbox, std::uint64_t seen, SteadyTime deadline) {
    const auto state = mailbox.state_; // the mailbox may go while we wait
    const Executor executor = co_await asio::this_coro::executor;
    const auto waiter = std::make_shared<MailboxWaiter>(executor);
    std::list<std::shared_ptr<MailboxWaiter>>::iterator listed;
    {
        const std::scoped_lock lock(state->mutex);
        if (state->version.load() > seen) co_return Wake::notified;
        listed = state->waiters.insert(state->waiters.end(), waiter);
    }
    // Both are undone in every way out, also when a stopped context destroys this frame.
    struct Cleanup {
        Parking& parking;
        Mailbox::State& state;
        std::list<std::shared_ptr<MailboxWaiter>>::iterator listed;
        ~Cleanup() {
            parking.unwatch();
            const std::scoped_lock lock(state.mutex);
            state.waiters.erase(listed);
        }
    };
    const Cleanup cleanup{*this, *state, listed};
    const Deadline armed(DeadlineQueue::of(executor), deadline, *waiter);
    watch([waiter](Wake reason) { waiter->wake(reason); });
    if (!waiter->gate.is_open() && !co_await cancelled()) co_await waiter->gate.wait_unopened();
    co_return co_await cancelled() ? Wake::gone : waiter->why.value_or(Wake::gone);
}

} // namespace consign::net
