#include "core.hpp"
#include "consign/base/log.hpp"

namespace consign::ims {

net::Async<> Core::apply(std::shared_ptr<Effects> effects) {
    if (!effects->agents.empty() || effects->users) {
        auto read = co_await db->read([this, effects](store::Connection& c) {
            return directory.refresh(c, effects->agents, effects->users);
        });
        if (!read) log::error("cannot read agents and tokens again", {{"error", to_string(read.error())}});
    }
    for (const auto& [pool, jobs] : effects->wake) dispatcher.wake(pool, jobs);
    for (const auto& id : effects->tell)
        if (const auto agent = directory.agent(id)) agent->presence->mailbox.notify();
    if (effects->events) events.notify();
}

} // namespace consign::ims
