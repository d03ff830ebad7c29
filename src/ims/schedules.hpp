#pragma once
// Jobs that come by themselves: the health of each install, its drift, and the collection of its registry's
// garbage.
#include "consign/ims/ims.hpp"
#include "jobs.hpp"

namespace consign::ims::schedules {

/// Gives the install its schedules, or brings them in line with the options. Its times are spread over the
/// period by its id, so that ten thousand installs do not wake in one second.
Result<void> arrange(Change& change, const InstallId& install, const ScheduleOptions& options);
/// All installs that have an agent: at a start, when the options may have changed.
Result<void> arrange_all(Change& change, const ScheduleOptions& options);

/// The slot after `now` on the install's own grid of that kind. Pure.
Time next_slot(const InstallId& install, protocol::JobKind kind, std::chrono::seconds every, Time now);

Result<bool> anything_due(store::Connection& c, Time now);
/// Makes the jobs that are due; at most a hundred at once. An install whose last job of the kind still waits
/// (its agent has been offline for days) gets no second one: when the agent is back it catches up once.
Result<int> tick(Change& change);

/// One now, by hand. conflict: one waits or runs already. invalid_argument: not a scheduled kind.
Result<JobId> run_now(Change& change, const InstallId& install, protocol::JobKind kind);

/// Called on each transition of a scheduled job: keeps what it found out.
Result<void> follow(Change& change, const Job& job);

} // namespace consign::ims::schedules
