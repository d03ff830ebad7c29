#include "sessions.hpp"
#include <algorithm>

namespace consign::ims::sessions {
namespace {

using model::JobState;

bool lists(const std::vector<protocol::RunningJob>& list, const Job& job) {
    return std::ranges::any_of(
        list, [&](const protocol::RunningJob& one) { return one.job == job.id && one.epoch == job.epoch; });
}

/// Whether nobody runs the job any more that this session holds, or an earlier one held.
bool has_ended(const Job& job, const protocol::PollRequest& request) {
    return job.state == JobState::leased || job.session == request.session || lists(request.leftovers, job);
}

} // namespace

Error superseded() {
    return {Code::session_superseded, "a newer session of this agent took over",
            "another process runs with this agent's identity; this one must exit"};
}

Result<void> take_over(Change& change, const AgentId& agent, const SessionId& session) {
    CONSIGN_TRY(known, change.tx.query_one("SELECT agent, superseded FROM agent_sessions WHERE id=$1",
                                           {session}, [](const store::Row& row) {
                                               return std::pair(row.id<AgentId>(0), row.boolean(1));
                                           }));
    if (known) {
        if (known->first != agent || known->second) return std::unexpected(superseded());
        return {};
    }
    // The ids of one agent's sessions grow. One that is older than the present one is a request that was long
    // under way: its process has ended, and must not push out the one that lives.
    CONSIGN_TRY(newer, change.tx.query_one("SELECT 1 FROM agent_sessions WHERE agent=$1 AND superseded=0 AND "
                                           "id > $2",
                                           {agent, session}, [](const store::Row&) { return true; }));
    if (newer) return std::unexpected(superseded());
    CONSIGN_CHECK(
        change.tx.execute("UPDATE agent_sessions SET superseded=1 WHERE agent=$1 AND superseded=0", {agent}));
    CONSIGN_CHECK(change.tx.execute("INSERT INTO agent_sessions(id, agent, started_at) VALUES ($1,$2,$3)",
                                    {session, agent, change.now}));
    return change.event({.kind = "agent.session", .detail = agent.str()});
}

Result<Work> reconcile(Change& change, const jobs::Claimant& claimant, const protocol::PollRequest& request,
                       int slots, std::chrono::seconds lease) {
    Work work;
    CONSIGN_TRY(held, jobs::held_by(change.tx, claimant.agent));
    for (const auto& running : request.running)
        if (std::ranges::none_of(held, [&](const Job& job) {
                return job.id == running.job && job.epoch == running.epoch;
            }))
            work.lost.push_back(running.job);
    for (auto& job : held) {
        if (lists(request.running, job)) {
            CONSIGN_CHECK(change.tx.execute("UPDATE jobs SET deadline=$2, session=$3 WHERE id=$1",
                                            {job.id, change.now + lease, request.session}));
            if (job.stop != Stop::none) work.cancel.push_back(job.id);
        } else if (has_ended(job, request)) {
            const auto loss =
                job.state == JobState::leased ? jobs::Loss::never_started : jobs::Loss::expired;
            CONSIGN_CHECK(jobs::lose(change, std::move(job), loss, "its agent no longer runs it"));
        }
    }
    CONSIGN_TRY(claimed, jobs::claim(change, claimant, slots, lease));
    work.claimed = std::move(claimed);
    return work;
}

} // namespace consign::ims::sessions
