#pragma once
// What time does to jobs that nobody touches: pauses end, and no state lasts for ever.
#include "jobs.hpp"

namespace consign::ims::jobs {

/// Whether expire(), end_pauses() or enforce_limits() would find anything.
Result<bool> anything_due(store::Connection& c, Time now);

/// Queued jobs whose pause before the next attempt is over: they can be claimed now.
Result<int> end_pauses(Change& change);

/// Jobs past their limit, at most a hundred at once. Queued for too long: timed_out. Running for too long: its
/// holder is asked to stop. Asked to stop and not done: ended without its agent, whose later writes are stale.
Result<int> enforce_limits(Change& change);

} // namespace consign::ims::jobs
