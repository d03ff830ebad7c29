#pragma once
// From the vendor registry into the install's own.
#include "consign/agent/job.hpp"
#include "consign/oci/copy.hpp"
#include "consign/oci/registry.hpp"

namespace consign::install {

/// Brings the artifact with its whole closure into the install's registry, in the repository of the same name,
/// tagged with the release. A one-time token is spent only if something is missing here. Returns a line for
/// the step.
Result<std::string> sync_artifact(agent::JobContext& context, oci::Repository& local,
                                  const protocol::ArtifactRef& artifact, const std::string& release);
Result<std::string> sync_artifact(agent::JobContext& context, oci::Registry& registry,
                                  const protocol::ArtifactRef& artifact, const std::string& release);

/// Whether the manifest `root`, its children and all blobs they name are in `repository`.
net::Async<Result<bool>> has_closure(oci::Repository& repository, Digest root);

} // namespace consign::install
