#include "dispatcher.hpp"
#include <algorithm>
#include <format>

namespace consign::ims {

Dispatcher::Place::Place(Dispatcher& dispatcher, Pool pool, std::shared_ptr<Presence> presence)
    : dispatcher_(dispatcher), pool_(std::move(pool)), presence_(std::move(presence)) {}

Dispatcher::Place::~Place() {
    bool pass_on = false;
    {
        std::lock_guard lock(dispatcher_.mutex_);
        pass_on = woken_;
        if (queued_) {
            const auto line = dispatcher_.parked_.find(pool_);
            std::erase(line->second, this);
            if (line->second.empty()) dispatcher_.parked_.erase(line);
        }
    }
    if (pass_on) dispatcher_.wake(pool_, 1);
}

void Dispatcher::Place::enter() {
    std::lock_guard lock(dispatcher_.mutex_);
    woken_ = false;
    if (!std::exchange(queued_, true)) dispatcher_.parked_[pool_].push_back(this);
}

void Dispatcher::wake(const Pool& pool, int jobs) {
    std::lock_guard lock(mutex_);
    const auto line = parked_.find(pool);
    if (line == parked_.end()) return;
    for (; jobs > 0 && !line->second.empty(); --jobs) {
        Place* place = line->second.front(); // who has waited longest
        line->second.pop_front();
        place->queued_ = false;
        place->woken_ = true;
        place->presence_->mailbox.notify();
    }
    if (line->second.empty()) parked_.erase(line);
}

void Dispatcher::explain(protocol::JobView& job, const Directory& directory, const InstallId& install,
                         Time now) {
    if (job.state != model::JobState::queued) return;
    std::vector<AgentEntry> able;
    for (auto& agent : directory.agents())
        if (!agent.revoked && agent.install == install) able.push_back(std::move(agent));
    const std::string who =
        install.empty() ? "a build agent" : std::format("the install agent of {}", job.install);
    const std::string start =
        install.empty() ? "start one: consign agent enroll prints the command"
                        : std::format("start it: consign install enroll {} prints the command", job.install);
    if (able.empty()) {
        job.waiting_for = protocol::WaitingFor{who + ": none is enrolled", start};
        return;
    }
    if (std::ranges::any_of(able, [&](const AgentEntry& a) { return Directory::online(a, now); })) {
        job.waiting_for =
            protocol::WaitingFor{"a free slot of " + who, "it starts by itself; see: consign job list"};
        return;
    }
    std::optional<Time> seen;
    for (const auto& agent : able)
        if (const auto at = Directory::last_seen(agent); at && (!seen || *at > *seen)) seen = at;
    job.waiting_for = protocol::WaitingFor{
        std::format("{}: {}", who,
                    seen ? "last seen " + humanize(now - *seen) + " ago" : std::string("never seen")),
        "check that it runs and reaches this server"};
}

} // namespace consign::ims
