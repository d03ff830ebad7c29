#pragma once
// The job engine: every change to a job goes through here, is decided by model's table, and is fenced by the
// epoch.
#include "change.hpp"
#include "consign/protocol/agent_api.hpp"

namespace consign::ims {

struct Job {
    JobId id;
    protocol::JobKind kind = protocol::JobKind::build;
    model::JobState state = model::JobState::blocked;
    std::string app, component;
    InstallId install;
    DeployId deploy;
    BuildId build;
    int attempt = 0, max_attempts = 3;
    std::int64_t epoch = 0;
    AgentId agent;
    SessionId session;
    std::optional<Time> deadline;
    bool cancel_requested = false;
    std::string spec = "{}", result = "{}", error, completion;
    Time created_at{};
    std::optional<Time> started_at, finished_at;

    Pool pool() const { return Pool{install}; }
};

namespace jobs {

Result<Job> get(store::Connection& c, const JobId& id); ///< not_found
/// `where` is SQL after WHERE, with its parameters; at most `limit` rows, oldest first unless it says
/// otherwise.
Result<std::vector<Job>> find(store::Connection& c, std::string_view where,
                              std::initializer_list<store::Value> parameters);

/// Stores a new job, blocked, with what it waits for. release_ready() then queues it if nothing holds it.
Result<void> insert(Change& change, Job job, const std::vector<JobId>& depends_on);
/// Queues a blocked job whose dependencies have all succeeded; skips it if one ended otherwise.
Result<void> release_ready(Change& change, const JobId& id);

/// Leases up to `slots` queued jobs of the pool, oldest first within priority, until now + lease.
Result<std::vector<Job>> claim(Change& change, const Pool& pool, const AgentId& agent,
                               const SessionId& session, int slots, std::chrono::seconds lease);

/// What the holder of a lease does. Each checks agent and epoch first: not_found for another agent's job,
/// lease_lost for a stale epoch.
struct Holder {
    AgentId agent;
    std::int64_t epoch = 0;
};
Result<Job> start(Change& change, const JobId& id, const Holder& holder);
Result<Job> renew(Change& change, const JobId& id, const Holder& holder, std::chrono::seconds lease);
Result<void> report_steps(Change& change, const JobId& id, const Holder& holder,
                          const std::vector<protocol::StepReport>& steps);
/// The same completion again is accepted again; a different one for the same epoch is a conflict.
Result<void> complete(Change& change, const JobId& id, const Holder& holder,
                      const protocol::CompleteRequest& request);
/// The holder's job, if the lease is live; used by reads and tokens that a lease entitles to.
Result<Job> held(store::Connection& c, const JobId& id, const Holder& holder);

/// Ends the lease without a result: another attempt, or `agent_lost` when none is left. A job that was leased
/// but never started, or was given back, does not use up an attempt.
enum class Loss { expired, given_back, never_started };
Result<void> lose(Change& change, Job job, Loss loss, std::string_view reason);

/// A queued or blocked job ends at once; a held one is marked, and its agent told.
Result<Job> cancel(Change& change, const JobId& id, std::string_view actor);

/// Leases that ran out before `change.now`.
Result<int> expire(Change& change);
/// Queued jobs whose pause after a give-back is over: they can be claimed now.
Result<int> end_pauses(Change& change);
/// After a start: agents get a whole lease to come back, for nobody could renew while the server was away.
Result<void> extend_leases(Change& change, std::chrono::seconds lease);

} // namespace jobs
} // namespace consign::ims
