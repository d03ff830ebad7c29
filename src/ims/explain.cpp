#include "explain.hpp"
#include <algorithm>
#include <format>

namespace consign::ims {

void Explainer::operator()(protocol::JobView& job, const InstallId& install) {
    if (job.state != model::JobState::queued) return;
    std::vector<AgentEntry> of_install;
    if (install.empty()) {
        if (!builders_) builders_ = directory_.build_agents();
    } else if (auto agent = directory_.agent_of(install)) {
        of_install.push_back(std::move(*agent));
    }
    const auto& able = install.empty() ? *builders_ : of_install;
    const std::string who =
        install.empty() ? "a build agent" : std::format("the install agent of {}", job.install);
    if (able.empty())
        job.waiting_for = protocol::WaitingFor{
            who + ": none is enrolled",
            install.empty()
                ? "start one: consign agent enroll prints the command"
                : std::format("start it: consign install enroll {} prints the command", job.install)};
    else if (std::ranges::any_of(able, [&](const AgentEntry& a) { return Directory::online(a, now_); }))
        job.waiting_for =
            protocol::WaitingFor{"a free slot of " + who, "it starts by itself; see: consign job list"};
    else
        job.waiting_for = protocol::WaitingFor{std::format("{}: {}", who, away(able)),
                                               "check that it runs and reaches this server"};
}

/// Since when the one that was here last is not.
std::string Explainer::away(const std::vector<AgentEntry>& agents) const {
    std::optional<Time> seen;
    bool left = false;
    for (const auto& agent : agents)
        if (const auto at = Directory::last_seen(agent); at && (!seen || *at > *seen)) {
            seen = at;
            left = Directory::has_left(agent);
        }
    if (!seen) return "never seen";
    return std::format("{} {} ago", left ? "stopped" : "last seen", humanize(now_ - *seen));
}

} // namespace consign::ims
