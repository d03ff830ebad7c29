#include "core.hpp"
#include "consign/base/log.hpp"

namespace consign::ims {

net::Async<> Core::apply(std::shared_ptr<Effects> effects) {
    // What was revoked is revoked only once it is read again here: a busy store is asked until it answers.
    while (!effects->agents.empty() || effects->users) {
        auto read = co_await db->read([this, effects](store::Connection& c) {
            return directory.refresh(c, effects->agents, effects->users);
        });
        if (read || co_await net::cancelled()) break;
        log::error("cannot read agents and tokens again; trying on", {{"error", to_string(read.error())}});
        co_await net::sleep_for(std::chrono::milliseconds(200));
    }
    for (const auto& [pool, jobs] : effects->wake) dispatcher.wake(pool, jobs);
    for (const auto& id : effects->tell)
        if (const auto agent = directory.agent(id)) agent->presence->mailbox.notify();
    for (const auto& id : effects->ended) logs->mailbox(id).notify();
    if (effects->users) logs->notify_all(); // streams look whether they may go on
    if (effects->events || effects->users) events.notify();
}

} // namespace consign::ims
