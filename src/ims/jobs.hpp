#pragma once
// The job engine: every change to a job goes through here, is decided by model's table, and is fenced by the
// epoch. Leases are in leases.hpp, limits in limits.hpp.
#include "change.hpp"
#include "consign/protocol/agent_api.hpp"

namespace consign::ims {

/// What the holder of a job was asked to do, and so what the job becomes when it has stopped.
enum class Stop { none, cancel, time_out };

struct Job {
    JobId id;
    protocol::JobKind kind = protocol::JobKind::build;
    model::JobState state = model::JobState::blocked;
    std::string app, component;
    InstallId install;
    DeployId deploy;
    BuildId build;
    int priority = 0;
    int attempt = 0;
    int max_attempts = 0; ///< 0 in a new job: its kind's
    std::int64_t epoch = 0;
    AgentId agent;
    SessionId session;
    std::optional<Time> deadline; ///< of the lease
    std::optional<Time> limit_at; ///< when the engine ends the present state
    Time not_before{};            ///< queued, but not to be claimed before
    Time since{};                 ///< when it came into its state
    std::chrono::seconds run_limit{0}; ///< 0 in a new job: its kind's
    bool needs_approval = false;
    Stop stop = Stop::none;
    std::string spec = "{}", result = "{}", error, completion;
    Time created_at{};
    std::optional<Time> started_at, finished_at;

    Pool pool() const { return Pool{install}; }
    model::JobPolicy policy() const { return model::policy_of(kind); }
};

namespace jobs {

Result<Job> get(store::Connection& c, const JobId& id); ///< not_found
/// `where` is SQL after WHERE, with its parameters; oldest first unless it says otherwise.
Result<std::vector<Job>> find(store::Connection& c, std::string_view where,
                              std::initializer_list<store::Value> parameters);
/// What an agent holds now.
Result<std::vector<Job>> held_by(store::Connection& c, const AgentId& agent);

/// Of a job that a user asks for: -100 to 100, or invalid_argument.
Result<void> check_priority(int priority);
/// Stores a new job, blocked, with what it waits for. release_ready() then queues it if nothing holds it.
Result<void> insert(Change& change, Job job, const std::vector<JobId>& depends_on);
/// Stores a new job that waits for nothing: it is queued at once.
Result<void> enqueue(Change& change, Job job);
/// A blocked job whose dependencies have all succeeded is queued, or waits for approval if it needs one; it is
/// skipped if one ended otherwise.
Result<void> release_ready(Change& change, const JobId& id);
/// Of a job that waits for approval: queued, or skipped. conflict for any other.
Result<void> approve(Change& change, Job job, std::string_view actor);
Result<void> reject(Change& change, Job job, std::string_view actor, std::string_view reason);

/// What the holder of a lease does. Each checks agent and epoch first: not_found for another agent's job,
/// lease_lost for a stale epoch.
struct Holder {
    AgentId agent;
    std::int64_t epoch = 0;
};
Result<Job> start(Change& change, const JobId& id, const Holder& holder);
Result<void> report_steps(Change& change, const JobId& id, const Holder& holder,
                          const std::vector<protocol::StepReport>& steps);
/// The same completion again is accepted again; a different one for the same epoch is a conflict.
Result<void> complete(Change& change, const JobId& id, const Holder& holder,
                      const protocol::CompleteRequest& request);
/// The holder's job, if the lease is live; used by reads and tokens that a lease entitles to.
Result<Job> held(store::Connection& c, const JobId& id, const Holder& holder);

/// A job that nobody holds ends at once; a held one is marked, its agent told, and the engine ends it when
/// the agent has not within the kind's stop limit. conflict: it has ended already.
Result<Job> cancel(Change& change, const JobId& id, std::string_view actor);

} // namespace jobs
} // namespace consign::ims
