// Jobs as rows.
#include "transition.hpp"
#include <format>

namespace consign::ims::jobs {
namespace {

using model::JobState;

constexpr std::string_view kColumns =
    "id, kind, state, app, component, install, deploy, build, priority, attempt, max_attempts, epoch, agent, "
    "session, deadline, limit_at, not_before, since, run_limit_s, needs_approval, stop, spec, result, error, "
    "completion, created_at, started_at, finished_at";

constexpr std::array<std::pair<Stop, std::string_view>, 3> kStops{
    {{Stop::none, ""}, {Stop::cancel, "cancel"}, {Stop::time_out, "time_out"}}};

Stop stop_from(std::string_view text) {
    for (const auto& [stop, name] : kStops)
        if (name == text) return stop;
    return Stop::none;
}
std::string_view name_of(Stop stop) { return kStops[static_cast<std::size_t>(stop)].second; }

Job from_row(const store::Row& row) {
    int at = 0;
    Job job;
    job.id = row.id<JobId>(at++);
    job.kind = json::enum_from<protocol::JobKind>(row.text(at++)).value_or(protocol::JobKind::build);
    job.state = json::enum_from<JobState>(row.text(at++)).value_or(JobState::failed);
    job.app = row.string(at++);
    job.component = row.string(at++);
    job.install = row.id<InstallId>(at++);
    job.deploy = row.id<DeployId>(at++);
    job.build = row.id<BuildId>(at++);
    job.priority = static_cast<int>(row.integer(at++));
    job.attempt = static_cast<int>(row.integer(at++));
    job.max_attempts = static_cast<int>(row.integer(at++));
    job.epoch = row.integer(at++);
    job.agent = row.id<AgentId>(at++);
    job.session = row.id<SessionId>(at++);
    job.deadline = row.optional_time(at++);
    job.limit_at = row.optional_time(at++);
    job.not_before = row.time(at++);
    job.since = row.time(at++);
    job.run_limit = std::chrono::seconds(row.integer(at++));
    job.needs_approval = row.boolean(at++);
    job.stop = stop_from(row.text(at++));
    job.spec = row.string(at++);
    job.result = row.string(at++);
    job.error = row.string(at++);
    job.completion = row.string(at++);
    job.created_at = row.time(at++);
    job.started_at = row.optional_time(at++);
    job.finished_at = row.optional_time(at++);
    return job;
}

} // namespace

Result<std::vector<Job>> find(store::Connection& c, std::string_view where,
                              std::initializer_list<store::Value> parameters) {
    return c.query_all(std::format("SELECT {} FROM jobs WHERE {}", kColumns, where), parameters, from_row);
}

Result<std::vector<Job>> held_by(store::Connection& c, const AgentId& agent) {
    return find(c, "agent=$1 AND state IN ('leased', 'running')", {agent});
}

Result<Job> get(store::Connection& c, const JobId& id) {
    CONSIGN_TRY(found, find(c, "id=$1", {id}));
    if (found.empty()) return fail(Code::not_found, "no job " + id.str());
    return std::move(found.front());
}

Result<void> insert(Change& change, Job job, const std::vector<JobId>& depends_on) {
    const auto policy = job.policy();
    if (job.max_attempts == 0) job.max_attempts = policy.max_attempts;
    if (job.run_limit.count() == 0) job.run_limit = policy.run_limit;
    CONSIGN_CHECK(change.tx.execute(
        "INSERT INTO jobs(id, kind, state, app, component, install, deploy, build, priority, max_attempts, "
        "run_limit_s, needs_approval, limit_at, spec, created_at, since) "
        "VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$15)",
        {job.id, json::name_of(job.kind), json::name_of(job.state), job.app, job.component, job.install,
         job.deploy, job.build, policy.priority + job.priority, job.max_attempts, job.run_limit.count(),
         job.needs_approval, job.limit_at, job.spec, change.now}));
    for (const auto& dependency : depends_on)
        CONSIGN_CHECK(change.tx.execute("INSERT INTO job_dependencies(job, depends_on) VALUES ($1,$2)",
                                        {job.id, dependency}));
    return {};
}

Result<void> save(Change& change, const Job& job) {
    CONSIGN_CHECK(change.tx.execute(
        "UPDATE jobs SET state=$2, attempt=$3, epoch=$4, agent=$5, session=$6, deadline=$7, limit_at=$8, "
        "not_before=$9, since=$10, stop=$11, result=$12, error=$13, completion=$14, started_at=$15, "
        "finished_at=$16 WHERE id=$1",
        {job.id, json::name_of(job.state), job.attempt, job.epoch, job.agent, job.session, job.deadline,
         job.limit_at, job.not_before, job.since, name_of(job.stop), job.result, job.error, job.completion,
         job.started_at, job.finished_at}));
    return {};
}

} // namespace consign::ims::jobs
