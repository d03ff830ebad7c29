#pragma once
// Deploys: bringing an install (or one component of it) to a release, or taking it down, as jobs over the
// component DAG. One deploy at a time per install; later ones wait visibly.
#include "jobs.hpp"

namespace consign::ims::deploys {

Result<DeployId> create(Change& change, const protocol::CreateDeployRequest& request, std::string_view actor);
/// With its jobs. not_found.
Result<protocol::DeployView> get(store::Connection& c, const DeployId& id);
/// Newest first, without jobs, at most 200.
Result<std::vector<protocol::DeployView>> list(store::Connection& c, std::string_view install);
/// The same deploy again, after one of its jobs failed.
Result<DeployId> retry(Change& change, const DeployId& id, std::string_view actor);

/// A person's word on the jobs that wait for approval now: all of them, or one component's. conflict: none does.
Result<void> approve(Change& change, const DeployId& id, const protocol::DecideRequest& request,
                     std::string_view actor);
Result<void> reject(Change& change, const DeployId& id, const protocol::DecideRequest& request,
                    std::string_view actor);
/// Ends what nobody has begun, dependents first, so that nothing starts meanwhile; asks the agent to stop the
/// rest. conflict: it has ended already.
Result<void> cancel(Change& change, const DeployId& id, std::string_view actor);

Result<bool> is_running(store::Connection& c, const DeployId& id);
// Called on each transition of a deploy's job.
/// What the install's component is after the job: from the agent's own words where there are any.
Result<void> follow_component(Change& change, const Job& job);
/// Keeps the deploy's state true, and starts the next deploy that waits.
Result<void> follow(Change& change, const Job& job);

} // namespace consign::ims::deploys
