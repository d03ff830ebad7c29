#pragma once
// What a poll does to the store: one run of an agent's process at a time, and its leases as it sees them.
#include "leases.hpp"

namespace consign::ims::sessions {

/// Makes an unknown session the agent's current one; an older one is refused for good: session_superseded.
Result<void> take_over(Change& change, const AgentId& agent, const SessionId& session);
Error superseded();

struct Work {
    std::vector<Job> claimed;
    std::vector<JobId> cancel, lost;
};

/// Renews what the agent lists, takes back what it holds and does not list (the answer that carried it was
/// lost, or its process ended), then claims up to `slots` jobs. What an earlier session had begun and this one
/// does not know to have ended may still run elsewhere: that lease has to run out first.
Result<Work> reconcile(Change& change, const jobs::Claimant& claimant, const protocol::PollRequest& request,
                       int slots, std::chrono::seconds lease);

} // namespace consign::ims::sessions
