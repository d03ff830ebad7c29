#include "core.hpp"
#include "consign/base/log.hpp"

namespace consign::ims {

net::Async<> Core::apply(std::shared_ptr<Effects> effects) {
    if (effects->people) {
        auto reloaded = co_await db->read([this](store::Connection& c) { return directory.reload(c); });
        if (!reloaded) log::error("cannot reload agents and tokens", {{"error", to_string(reloaded.error())}});
    }
    for (const auto& [pool, jobs] : effects->wake) dispatcher.wake(pool, jobs);
    for (const auto& id : effects->tell)
        if (const auto agent = directory.agent(id)) agent->presence->mailbox.notify();
    if (effects->events) events.notify();
}

} // namespace consign::ims
