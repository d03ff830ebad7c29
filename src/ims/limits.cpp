#include "limits.hpp"
#include "transition.hpp"
#include <format>

namespace consign::ims::jobs {
namespace {

using model::JobEvent;
using model::JobState;

Result<void> enforce(Change& change, Job job) {
    if (job.state == JobState::queued) {
        job.error = std::format("no agent took it within {}", humanize(job.policy().queue_limit));
        return transition(change, job, JobEvent::time_out, job.error);
    }
    change.effects.tell.insert(job.agent);
    if (job.stop != Stop::none) {
        job.error = std::format("{}; its agent was asked to stop it and did not within {}",
                                job.stop == Stop::cancel
                                    ? "cancelled"
                                    : std::format("it ran for longer than {}", humanize(job.run_limit)),
                                humanize(job.policy().stop_limit));
        return transition(change, job, end_of(job.stop), job.error);
    }
    job.stop = Stop::time_out;
    job.limit_at = change.now + job.policy().stop_limit;
    CONSIGN_CHECK(save(change, job));
    return tell(change, job, "job.run_limit", std::format("it has run for {}", humanize(job.run_limit)));
}

} // namespace

Result<bool> anything_due(store::Connection& c, Time now) {
    CONSIGN_TRY(due, c.query_one(
                         "SELECT 1 WHERE EXISTS (SELECT 1 FROM jobs WHERE state IN ('leased', 'running') AND "
                         "deadline < $1) OR EXISTS (SELECT 1 FROM jobs WHERE state = 'queued' AND "
                         "not_before > 0 AND not_before <= $1) OR EXISTS (SELECT 1 FROM jobs WHERE limit_at "
                         "IS NOT NULL AND limit_at <= $1)",
                         {now}, [](const store::Row&) { return true; }));
    return due.has_value();
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

Result<int> enforce_limits(Change& change) {
    CONSIGN_TRY(due, find(change.tx, "limit_at IS NOT NULL AND limit_at <= $1 ORDER BY limit_at LIMIT 100",
                          {change.now}));
    // One at a time from the store: the end of one may end others.
    for (const auto& found : due) {
        CONSIGN_TRY(job, get(change.tx, found.id));
        if (job.limit_at && *job.limit_at <= change.now) CONSIGN_CHECK(enforce(change, std::move(job)));
    }
    return static_cast<int>(due.size());
}

} // namespace consign::ims::jobs
