#include "jobs.hpp"
#include "builds.hpp"
#include "deploys.hpp"
#include <format>

namespace consign::ims::jobs {
namespace {

using model::JobEvent;
using model::JobState;
using protocol::Outcome;

constexpr std::string_view kColumns =
    "id, kind, state, app, component, install, deploy, build, attempt, max_attempts, epoch, agent, session, "
    "deadline, "
    "cancel_requested, spec, result, error, completion, created_at, started_at, finished_at";

Job from_row(const store::Row& row) {
    Job job;
    job.id = row.id<JobId>(0);
    job.kind = json::enum_from<protocol::JobKind>(row.text(1)).value_or(protocol::JobKind::build);
    job.state = json::enum_from<JobState>(row.text(2)).value_or(JobState::failed);
    job.app = row.string(3);
    job.component = row.string(4);
    job.install = row.id<InstallId>(5);
    job.deploy = row.id<DeployId>(6);
    job.build = row.id<BuildId>(7);
    job.attempt = static_cast<int>(row.integer(8));
    job.max_attempts = static_cast<int>(row.integer(9));
    job.epoch = row.integer(10);
    job.agent = row.id<AgentId>(11);
    job.session = row.id<SessionId>(12);
    job.deadline = row.optional_time(13);
    job.cancel_requested = row.boolean(14);
    job.spec = row.string(15);
    job.result = row.string(16);
    job.error = row.string(17);
    job.completion = row.string(18);
    job.created_at = row.time(19);
    job.started_at = row.optional_time(20);
    job.finished_at = row.optional_time(21);
    return job;
}

Result<void> save(Change& change, const Job& job) {
    CONSIGN_CHECK(change.tx.execute(
        "UPDATE jobs SET state=$2, attempt=$3, epoch=$4, agent=$5, session=$6, deadline=$7, "
        "cancel_requested=$8, "
        "result=$9, error=$10, completion=$11, started_at=$12, finished_at=$13 WHERE id=$1",
        {job.id, json::name_of(job.state), job.attempt, job.epoch, job.agent, job.session, job.deadline,
         job.cancel_requested, job.result, job.error, job.completion, job.started_at, job.finished_at}));
    return {};
}

// An agent that cannot begin (its disk is full, say) gives the lease back within milliseconds. Without a
// pause the job would go round and round; five seconds is nothing to a job whose agent restarts.
constexpr std::chrono::seconds kGiveBackPause{5};

Result<void> release_dependents(Change& change, const JobId& id) {
    CONSIGN_TRY(dependents, change.tx.query_all("SELECT job FROM job_dependencies WHERE depends_on=$1", {id},
                                                [](const store::Row& row) { return row.id<JobId>(0); }));
    for (const auto& dependent : dependents) CONSIGN_CHECK(release_ready(change, dependent));
    return {};
}

/// The one way a job changes its state: model decides, the row, the event log and whoever depends on it
/// follow.
Result<void> transition(Change& change, Job& job, JobEvent event, std::string_view detail = {}) {
    const auto to = model::next(job.state, event);
    if (!to)
        return fail(Code::conflict, std::format("job {} is {} and cannot do that now", job.id.str(),
                                                json::name_of(job.state)));
    job.state = *to;
    if (!model::is_held(*to)) {
        job.deadline.reset();
        job.session = {};
    }
    if (*to == JobState::running) job.started_at = change.now;
    if (model::is_terminal(*to)) {
        job.finished_at = change.now;
        change.effects.ended.insert(job.id);
    }
    if (*to == JobState::queued) ++change.effects.wake[job.pool()];
    CONSIGN_CHECK(save(change, job));
    CONSIGN_CHECK(change.event({.kind = "job." + std::string(json::name_of(*to)),
                                .app = job.app,
                                .install = job.install.str(),
                                .component = job.component,
                                .job = job.id,
                                .deploy = job.deploy ? std::optional(job.deploy) : std::nullopt,
                                .detail = std::string(detail)}));
    if (job.build) CONSIGN_CHECK(builds::follow(change, job));
    if (model::is_terminal(*to)) CONSIGN_CHECK(release_dependents(change, job.id));
    if (job.deploy) CONSIGN_CHECK(deploys::follow(change, job));
    return {};
}

/// The fence: the job, if `holder` has its live lease.
Result<Job> fenced(store::Connection& c, const JobId& id, const Holder& holder) {
    CONSIGN_TRY(job, get(c, id));
    if (job.agent != holder.agent) {
        // Another agent's job does not exist for this one, unless it held that very lease once.
        CONSIGN_TRY(held_once,
                    c.query_one("SELECT 1 FROM job_attempts WHERE job=$1 AND epoch=$2 AND agent=$3",
                                {id, holder.epoch, holder.agent}, [](const store::Row&) { return true; }));
        if (!held_once) return fail(Code::not_found, "no job " + id.str());
    }
    if (job.agent != holder.agent || job.epoch != holder.epoch || !model::is_held(job.state))
        return fail(Code::lease_lost,
                    std::format("the lease of job {} with epoch {} is over (now {}, epoch {})", id.str(),
                                holder.epoch, json::name_of(job.state), job.epoch),
                    "stop this attempt; another one may be running");
    return std::move(job);
}

JobEvent event_of(Outcome outcome) {
    switch (outcome) {
    case Outcome::succeeded:
        return JobEvent::succeed;
    case Outcome::cancelled:
        return JobEvent::cancel;
    case Outcome::timed_out:
        return JobEvent::time_out;
    case Outcome::failed:
    case Outcome::given_back:
        break;
    }
    return JobEvent::fail;
}

} // namespace

Result<std::vector<Job>> find(store::Connection& c, std::string_view where,
                              std::initializer_list<store::Value> parameters) {
    return c.query_all(std::format("SELECT {} FROM jobs WHERE {}", kColumns, where), parameters, from_row);
}

Result<Job> get(store::Connection& c, const JobId& id) {
    CONSIGN_TRY(found, find(c, "id=$1", {id}));
    if (found.empty()) return fail(Code::not_found, "no job " + id.str());
    return std::move(found.front());
}

Result<void> insert(Change& change, Job job, const std::vector<JobId>& depends_on) {
    CONSIGN_CHECK(
        change.tx.execute("INSERT INTO jobs(id, kind, state, app, component, install, deploy, build, "
                          "max_attempts, spec, created_at) "
                          "VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)",
                          {job.id, json::name_of(job.kind), json::name_of(job.state), job.app, job.component,
                           job.install, job.deploy, job.build, job.max_attempts, job.spec, change.now}));
    for (const auto& dependency : depends_on)
        CONSIGN_CHECK(change.tx.execute("INSERT INTO job_dependencies(job, depends_on) VALUES ($1,$2)",
                                        {job.id, dependency}));
    return {};
}

Result<void> release_ready(Change& change, const JobId& id) {
    CONSIGN_TRY(job, get(change.tx, id));
    if (job.state != JobState::blocked) return {};
    // A deploy that waits for its turn holds all its jobs back.
    if (job.deploy) {
        CONSIGN_TRY(running, deploys::is_running(change.tx, job.deploy));
        if (!running) return {};
    }
    std::string broken;
    bool waiting = false;
    CONSIGN_CHECK(change.tx.query("SELECT j.component, j.state FROM job_dependencies d JOIN jobs j ON j.id = "
                                  "d.depends_on WHERE d.job=$1",
                                  {id}, [&](const store::Row& row) {
                                      const auto state =
                                          json::enum_from<JobState>(row.text(1)).value_or(JobState::failed);
                                      if (state == JobState::succeeded) return true;
                                      if (model::is_terminal(state))
                                          broken = row.string(0);
                                      else
                                          waiting = true;
                                      return true;
                                  }));
    if (!broken.empty()) {
        job.error = std::format("skipped: it depends on {}, which did not succeed", broken);
        return transition(change, job, JobEvent::dependency_failed, job.error);
    }
    if (waiting) return {};
    return transition(change, job, JobEvent::release);
}

Result<std::vector<Job>> claim(Change& change, const Pool& pool, const AgentId& agent,
                               const SessionId& session, int slots, std::chrono::seconds lease) {
    std::vector<Job> claimed;
    if (slots <= 0) return claimed;
    // The predicates repeat those of the partial indexes word for word, or SQLite would not use them.
    CONSIGN_TRY(candidates,
                pool.install
                    ? find(change.tx,
                           "state = 'queued' AND install = $1 AND install IS NOT NULL AND not_before <= $3 "
                           "ORDER BY priority DESC, id LIMIT $2",
                           {pool.install, slots, change.now})
                    : find(change.tx,
                           "state = 'queued' AND kind = 'build' AND not_before <= $2 "
                           "ORDER BY priority DESC, id LIMIT $1",
                           {slots, change.now}));
    for (auto& job : candidates) {
        job.agent = agent;
        job.session = session;
        ++job.epoch;
        ++job.attempt;
        job.deadline = change.now + lease;
        // transition() keeps the deadline of a held state.
        CONSIGN_CHECK(transition(change, job, JobEvent::claim));
        CONSIGN_CHECK(change.tx.execute(
            "INSERT INTO job_attempts(job, epoch, attempt, agent, claimed_at) VALUES ($1,$2,$3,$4,$5)",
            {job.id, job.epoch, job.attempt, agent, change.now}));
        claimed.push_back(std::move(job));
    }
    return claimed;
}

Result<Job> held(store::Connection& c, const JobId& id, const Holder& holder) {
    return fenced(c, id, holder);
}

Result<Job> start(Change& change, const JobId& id, const Holder& holder) {
    CONSIGN_TRY(job, fenced(change.tx, id, holder));
    if (job.state == JobState::leased) CONSIGN_CHECK(transition(change, job, JobEvent::start));
    return std::move(job); // started already: the answer to the first request was lost
}

Result<Job> renew(Change& change, const JobId& id, const Holder& holder, std::chrono::seconds lease) {
    CONSIGN_TRY(job, fenced(change.tx, id, holder));
    job.deadline = change.now + lease;
    CONSIGN_CHECK(change.tx.execute("UPDATE jobs SET deadline=$2 WHERE id=$1", {id, job.deadline}));
    return std::move(job);
}

Result<void> report_steps(Change& change, const JobId& id, const Holder& holder,
                          const std::vector<protocol::StepReport>& steps) {
    CONSIGN_TRY(job, fenced(change.tx, id, holder));
    for (const auto& step : steps) {
        const bool done = step.state != protocol::StepState::running;
        CONSIGN_CHECK(change.tx.execute(
            "INSERT INTO job_steps(job, attempt, seq, name, state, detail, started_at, finished_at) "
            "VALUES ($1,$2,$3,$4,$5,$6,$7,$8) ON CONFLICT(job, attempt, seq) DO UPDATE SET "
            "state=excluded.state, detail=excluded.detail, finished_at=excluded.finished_at",
            {id, job.attempt, step.seq, step.name, json::name_of(step.state), step.detail, step.at,
             done ? std::optional(step.at) : std::nullopt}));
    }
    return change.event({.kind = "job.step",
                         .app = job.app,
                         .install = job.install.str(),
                         .component = job.component,
                         .job = id,
                         .deploy = job.deploy ? std::optional(job.deploy) : std::nullopt,
                         .detail = steps.empty() ? std::string{} : steps.back().name});
}

Result<void> complete(Change& change, const JobId& id, const Holder& holder,
                      const protocol::CompleteRequest& request) {
    const auto completion = std::to_string(holder.epoch) + ":" + sha256_hex(json::to_text(request));
    CONSIGN_TRY(current, get(change.tx, id));
    if (current.agent == holder.agent && current.completion == completion) return {}; // the answer was lost
    CONSIGN_TRY(job, fenced(change.tx, id, holder));
    job.completion = completion;
    if (request.outcome == Outcome::given_back)
        return lose(change, std::move(job), Loss::given_back, request.error);
    job.error = request.error;
    job.result = json::dump(request.result);
    CONSIGN_CHECK(change.tx.execute(
        "UPDATE job_steps SET state=$3, finished_at=$4 "
        "WHERE job=$1 AND attempt=$2 AND state='running'",
        {id, job.attempt,
         json::name_of(request.outcome == Outcome::succeeded ? protocol::StepState::succeeded
                                                             : protocol::StepState::failed),
         change.now}));
    // What ends before it was started was refused by the agent (an unknown kind, say): that is a failure,
    // never a success.
    if (job.state == JobState::leased && request.outcome != Outcome::cancelled)
        return transition(change, job, JobEvent::fail, job.error);
    return transition(change, job, event_of(request.outcome), job.error);
}

Result<void> lose(Change& change, Job job, Loss loss, std::string_view reason) {
    if (job.cancel_requested) {
        job.error = "cancelled";
        return transition(change, job, JobEvent::cancel, reason);
    }
    if (loss != Loss::expired || job.state == JobState::leased) --job.attempt;
    if (job.attempt >= job.max_attempts) {
        job.error = std::format("agent_lost: {} attempts ended without a result ({})", job.attempt, reason);
        return transition(change, job, JobEvent::exhaust, job.error);
    }
    CONSIGN_CHECK(transition(change, job, JobEvent::requeue, reason));
    if (loss == Loss::given_back)
        CONSIGN_CHECK(change.tx.execute("UPDATE jobs SET not_before=$2 WHERE id=$1",
                                        {job.id, change.now + kGiveBackPause}));
    return {};
}

Result<Job> cancel(Change& change, const JobId& id, std::string_view actor) {
    CONSIGN_TRY(job, get(change.tx, id));
    if (model::is_terminal(job.state))
        return fail(Code::conflict,
                    std::format("job {} has ended already: {}", id.str(), json::name_of(job.state)));
    if (!model::is_held(job.state)) {
        job.error = std::format("cancelled by {}", actor);
        CONSIGN_CHECK(transition(change, job, JobEvent::cancel, job.error));
        return std::move(job);
    }
    job.cancel_requested = true;
    CONSIGN_CHECK(save(change, job));
    change.effects.tell.insert(job.agent);
    CONSIGN_CHECK(change.event({.kind = "job.cancel_requested",
                                .app = job.app,
                                .install = job.install.str(),
                                .component = job.component,
                                .job = id,
                                .deploy = job.deploy ? std::optional(job.deploy) : std::nullopt,
                                .detail = std::string(actor)}));
    return std::move(job);
}

Result<int> expire(Change& change) {
    CONSIGN_TRY(lost, find(change.tx,
                           "state IN ('leased', 'running') AND deadline < $1 ORDER BY deadline LIMIT 100",
                           {change.now}));
    for (auto& job : lost)
        CONSIGN_CHECK(
            lose(change, job, Loss::expired, "its agent was not heard from before the lease ran out"));
    return static_cast<int>(lost.size());
}

Result<int> end_pauses(Change& change) {
    CONSIGN_TRY(paused,
                find(change.tx, "state = 'queued' AND not_before > 0 AND not_before <= $1", {change.now}));
    for (const auto& job : paused) {
        CONSIGN_CHECK(change.tx.execute("UPDATE jobs SET not_before=0 WHERE id=$1", {job.id}));
        ++change.effects.wake[job.pool()];
    }
    return static_cast<int>(paused.size());
}

Result<void> extend_leases(Change& change, std::chrono::seconds lease) {
    CONSIGN_CHECK(change.tx.execute(
        "UPDATE jobs SET deadline=$1 WHERE state IN ('leased', 'running') AND deadline < $1",
        {change.now + lease}));
    return {};
}

} // namespace consign::ims::jobs
