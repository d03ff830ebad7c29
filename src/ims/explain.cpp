#include "explain.hpp"
#include <algorithm>
#include <format>

namespace consign::ims {

using protocol::WaitReason;

void Explainer::operator()(protocol::JobView& job, const InstallId& install) {
    if (job.waiting_for) return;
    if (job.state == model::JobState::queued) {
        job.waiting_for = queued(job, install);
        job.waiting_for->since = job.since;
    } else if (model::is_held(job.state) && job.agent) {
        const auto agent = directory_.agent(*job.agent);
        if (!agent || Directory::online(*agent, now_)) return;
        const auto seen = Directory::last_seen(*agent);
        job.waiting_for = protocol::WaitingFor{
            .reason = WaitReason::agent,
            .what = std::format("the agent that runs it: {}", away({*agent})),
            .hint = job.deadline && *job.deadline > now_
                        ? std::format("if it does not come back, the lease ends in {} and the job is tried again",
                                      humanize(*job.deadline - now_))
                        : "its lease is over, and the job is tried again",
            .since = seen.value_or(job.since)};
    }
}

protocol::WaitingFor Explainer::queued(const protocol::JobView& job, const InstallId& install) {
    std::vector<AgentEntry> of_install;
    if (install.empty()) {
        if (!builders_) builders_ = directory_.build_agents();
    } else if (auto agent = directory_.agent_of(install)) {
        of_install.push_back(std::move(*agent));
    }
    const auto& known = install.empty() ? *builders_ : of_install;
    const std::string who =
        install.empty() ? "a build agent" : std::format("the install agent of {}", job.install);
    if (known.empty())
        return {.reason = WaitReason::agent,
                .what = who + ": none is enrolled",
                .hint = install.empty() ? "start one: consign agent enroll prints the command"
                                        : std::format("start it: consign install enroll {} prints the command",
                                                      job.install)};
    std::vector<AgentEntry> able;
    std::ranges::copy_if(known, std::back_inserter(able),
                         [&](const AgentEntry& a) { return std::ranges::contains(a.job_kinds, job.kind); });
    if (able.empty())
        return {.reason = WaitReason::agent,
                .what = std::format("{} that can run {} jobs; version {} cannot", who,
                                    json::name_of(job.kind), known.front().version),
                .hint = "update the agent"};
    const auto taking = [](const AgentEntry& a) { return !a.draining; };
    if (std::ranges::none_of(able, taking))
        return {.reason = WaitReason::agent,
                .what = who + ": it is drained and takes nothing new",
                .hint = "let it go on: consign agent resume " + able.front().id.str()};
    if (std::ranges::any_of(able,
                            [&](const AgentEntry& a) { return taking(a) && Directory::online(a, now_); }))
        return {.reason = WaitReason::slot,
                .what = "a free slot of " + who,
                .hint = "it starts by itself; see: consign job list"};
    return {.reason = WaitReason::agent,
            .what = std::format("{}: {}", who, away(able)),
            .hint = "check that it runs and reaches this server"};
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
