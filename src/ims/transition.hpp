#pragma once
// The engine's inside: only jobs.cpp, leases.cpp and limits.cpp include this.
#include "jobs.hpp"

namespace consign::ims::jobs {

/// The one way a job changes its state: model decides, the row, the event log and whoever depends on it
/// follow. `job` carries whatever else of the row is to change with it. conflict: its state does not allow it.
Result<void> transition(Change& change, Job& job, model::JobEvent event, std::string_view detail = {});

/// Writes the row as `job` has it, but for what never changes.
Result<void> save(Change& change, const Job& job);

/// An entry of the event log about this job.
Result<void> tell(Change& change, const Job& job, std::string_view kind, std::string_view detail);

/// What an end by request is called: a cancel, or the run limit.
model::JobEvent end_of(Stop stop);

} // namespace consign::ims::jobs
