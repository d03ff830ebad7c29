#pragma once
// What people see of a job.
#include "jobs.hpp"

namespace consign::ims::views {

enum class Detail { summary, full }; ///< full: with steps
/// waiting_for is filled in for what the store knows (dependencies, the deploy's turn); presence of agents is
/// added by Explainer.
Result<protocol::JobView> job(store::Connection& c, const Job& job, Detail detail);

} // namespace consign::ims::views
