#pragma once
// Builds: one run each that turns a component's source into an artifact. Immutable once done.
#include "jobs.hpp"

namespace consign::ims::builds {

Result<protocol::BuildView> get(store::Connection& c, const BuildId& id); ///< not_found
/// Newest first, at most 200; `app` empty: of all apps.
Result<std::vector<protocol::BuildView>> list(store::Connection& c, std::string_view app);

/// One build and one job per component asked for. A component with a directory source needs an uploaded one.
Result<std::vector<protocol::BuildView>> create(Change& change, const protocol::CreateBuildsRequest& request,
                                                std::string_view registry_url, std::string_view actor);
/// A build that ran elsewhere. The caller has checked that the artifact is in the registry.
Result<protocol::BuildView> record(Change& change, const protocol::RecordBuildRequest& request,
                                   std::string_view actor);
/// Runs the build of a failed job again, from the same source.
Result<JobId> retry(Change& change, const Job& job);

/// Called on each transition of a build's job.
Result<void> follow(Change& change, const Job& job);

} // namespace consign::ims::builds
