#include "jobs.hpp"
#include "builds.hpp"
#include "deploys.hpp"
#include "leases.hpp"
#include "schedules.hpp"
#include "transition.hpp"
#include <format>

namespace consign::ims::jobs {
namespace {

using model::JobEvent;
using model::JobState;
using protocol::Outcome;

Result<void> release_dependents(Change& change, const JobId& id) {
    CONSIGN_TRY(dependents, change.tx.query_all("SELECT job FROM job_dependencies WHERE depends_on=$1", {id},
                                                [](const store::Row& row) { return row.id<JobId>(0); }));
    for (const auto& dependent : dependents) CONSIGN_CHECK(release_ready(change, dependent));
    return {};
}

/// When the engine ends the state that the job has just come into.
std::optional<Time> limit_of(const Job& job, Time now) {
    const auto after = [now](std::chrono::seconds limit) {
        return limit.count() > 0 ? std::optional(now + limit) : std::nullopt;
    };
    if (job.state == JobState::queued) return after(job.policy().queue_limit);
    if (job.state == JobState::running) return after(job.run_limit);
    return std::nullopt;
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

/// What an attempt's end makes of its job. What ends before it was started was refused by the agent (an
/// unknown kind, say): that is a failure, never a success.
JobEvent event_of(const Job& job, Outcome outcome) {
    switch (outcome) {
    case Outcome::succeeded:
        return job.state == JobState::running ? JobEvent::succeed : JobEvent::fail;
    case Outcome::cancelled: // what the run limit stopped has timed out, whoever calls it what
        return job.stop == Stop::time_out ? JobEvent::time_out : JobEvent::cancel;
    case Outcome::timed_out:
        return job.state == JobState::running ? JobEvent::time_out : JobEvent::fail;
    case Outcome::failed:
    case Outcome::given_back:
        break;
    }
    return JobEvent::fail;
}

} // namespace

Result<void> tell(Change& change, const Job& job, std::string_view kind, std::string_view detail) {
    return change.event({.kind = std::string(kind),
                         .app = job.app,
                         .install = job.install.str(),
                         .component = job.component,
                         .job = job.id,
                         .deploy = job.deploy ? std::optional(job.deploy) : std::nullopt,
                         .detail = std::string(detail)});
}

JobEvent end_of(Stop stop) { return stop == Stop::time_out ? JobEvent::time_out : JobEvent::cancel; }

Result<void> transition(Change& change, Job& job, JobEvent event, std::string_view detail) {
    const auto to = model::next(job.state, event);
    if (!to)
        return fail(Code::conflict, std::format("job {} is {} and cannot do that now", job.id.str(),
                                                json::name_of(job.state)));
    // A scheduled job of the install may have waited for this one's end.
    if (model::is_held(job.state) && !model::is_held(*to) && job.policy().mutates)
        ++change.effects.wake[job.pool()];
    job.state = *to;
    job.since = change.now;
    job.limit_at = limit_of(job, change.now);
    if (!model::is_held(*to)) {
        job.deadline.reset();
        job.session = {};
    }
    if (*to == JobState::running) job.started_at = change.now;
    if (model::is_terminal(*to)) {
        job.finished_at = change.now;
        change.effects.ended.insert(job.id);
    }
    if (*to == JobState::queued && job.not_before == Time{}) ++change.effects.wake[job.pool()];
    CONSIGN_CHECK(save(change, job));
    CONSIGN_CHECK(tell(change, job, "job." + std::string(json::name_of(*to)), detail));
    if (job.build) CONSIGN_CHECK(builds::follow(change, job));
    // What the install has now comes first: the end of a dependent may end the deploy, and the next is planned by it.
    if (job.deploy) CONSIGN_CHECK(deploys::follow_component(change, job));
    if (model::is_terminal(*to)) CONSIGN_CHECK(release_dependents(change, job.id));
    if (job.deploy) CONSIGN_CHECK(deploys::follow(change, job));
    if (job.policy().scheduled) CONSIGN_CHECK(schedules::follow(change, job));
    return {};
}

Result<void> check_priority(int priority) {
    if (priority >= -100 && priority <= 100) return {};
    return fail(Code::invalid_argument, std::format("priority is {}", priority), "give -100 to 100");
}

Result<void> enqueue(Change& change, Job job) {
    job.state = *model::next(JobState::blocked, JobEvent::release);
    job.limit_at = limit_of(job, change.now);
    CONSIGN_CHECK(insert(change, job, {}));
    ++change.effects.wake[job.pool()];
    return tell(change, job, "job." + std::string(json::name_of(job.state)), "");
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
    if (job.needs_approval)
        return transition(change, job, JobEvent::hold, "approve it: consign approve " + job.deploy.str());
    return transition(change, job, JobEvent::release);
}

Result<void> approve(Change& change, Job job, std::string_view actor) {
    return transition(change, job, JobEvent::approve, std::format("approved by {}", actor));
}

Result<void> reject(Change& change, Job job, std::string_view actor, std::string_view reason) {
    job.error = std::format("rejected by {}{}{}", actor, reason.empty() ? "" : ": ", reason);
    return transition(change, job, JobEvent::reject, job.error);
}

Result<Job> held(store::Connection& c, const JobId& id, const Holder& holder) {
    return fenced(c, id, holder);
}

Result<Job> start(Change& change, const JobId& id, const Holder& holder) {
    CONSIGN_TRY(job, fenced(change.tx, id, holder));
    if (job.state == JobState::running) return std::move(job); // the answer to the first request was lost
    const auto stopping = job.stop != Stop::none ? job.limit_at : std::nullopt;
    CONSIGN_CHECK(transition(change, job, JobEvent::start));
    if (stopping) { // its time to stop goes on
        job.limit_at = stopping;
        CONSIGN_CHECK(save(change, job));
    }
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
            "name=excluded.name, state=excluded.state, detail=excluded.detail, "
            "started_at=CASE WHEN name=excluded.name THEN job_steps.started_at ELSE excluded.started_at END, "
            "finished_at=excluded.finished_at",
            {id, job.attempt, step.seq, step.name, json::name_of(step.state), step.detail, step.at,
             done ? std::optional(step.at) : std::nullopt}));
    }
    return tell(change, job, "job.step", steps.empty() ? std::string_view{} : steps.back().name);
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
    const auto event = event_of(job, request.outcome);
    if (event == JobEvent::fail && request.may_pass && job.stop == Stop::none &&
        job.attempt < job.max_attempts) {
        job.result = "{}"; // of an attempt that is not the last
        const auto pause = job.policy().pause_after(job.attempt);
        job.not_before = change.now + pause;
        return transition(change, job, JobEvent::requeue,
                          std::format("{}; attempt {} of {} in {}", job.error, job.attempt + 1,
                                      job.max_attempts, humanize(pause)));
    }
    return transition(change, job, event, job.error);
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
    if (job.stop == Stop::none) { // asked once: asking again does not give it more time
        job.stop = Stop::cancel;
        job.limit_at = change.now + job.policy().stop_limit;
        CONSIGN_CHECK(save(change, job));
        CONSIGN_CHECK(tell(change, job, "job.cancel_requested", actor));
    }
    change.effects.tell.insert(job.agent);
    return std::move(job);
}

} // namespace consign::ims::jobs
