#pragma once
// The right to run one attempt of a job: given by claim(), kept by renewal, ended by complete() (jobs.hpp) or
// lost.
#include "jobs.hpp"

namespace consign::ims::jobs {

/// Who asks for work.
struct Claimant {
    AgentId agent;
    SessionId session;
    Pool pool;
    std::vector<protocol::JobKind> kinds; ///< that it can run
};

/// Whether claim() would find anything: a read, so that an idle poll costs no commit.
Result<bool> claimable(store::Connection& c, const Claimant& claimant);
/// Leases up to `slots` queued jobs, the highest priority first and the oldest within it, until now + lease. A
/// scheduled kind does not begin while a job that changes the install runs.
Result<std::vector<Job>> claim(Change& change, const Claimant& claimant, int slots,
                               std::chrono::seconds lease);
/// lease_lost or not_found as for any write of a holder.
Result<Job> renew(Change& change, const JobId& id, const Holder& holder, std::chrono::seconds lease);

/// Ends the lease without a result: another attempt, or `agent_lost` when none is left. A job that was leased
/// but never started, or was given back, does not use up an attempt. A job that was asked to stop has.
enum class Loss { expired, given_back, never_started };
Result<void> lose(Change& change, Job job, Loss loss, std::string_view reason);
/// All that the agent holds: it is gone for good.
Result<void> lose_all(Change& change, const AgentId& agent, std::string_view reason);

/// Leases that ran out before `change.now`; at most a hundred at once.
Result<int> expire(Change& change);
/// After a start: agents get a whole lease to come back, for nobody could renew while the server was away.
Result<void> extend_leases(Change& change, std::chrono::seconds lease);

} // namespace consign::ims::jobs
