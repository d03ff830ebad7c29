#pragma once
#include "install/jobs.hpp"

namespace consign::install {

/// What health, drift and gc jobs do: look at every component, and keep the install's own registry small. They
/// change nothing that runs. Thread-safe; the jobs and the registry must outlive it.
class Upkeep {
  public:
    /// `registry` is null when it is another operator's: nothing is collected there.
    Upkeep(InstallJobs& jobs, oci::Registry* registry) : jobs_(jobs), registry_(registry) {}

    agent::JobOutcome health(agent::JobContext& context);
    agent::JobOutcome drift(agent::JobContext& context);
    /// Removes the artifacts that no component of this install has, or had before its present one.
    agent::JobOutcome collect(agent::JobContext& context);

  private:
    using Look = std::function<Result<protocol::Finding>(Deployer&, const ComponentPaths&, const std::string&)>;
    agent::JobOutcome look_at_all(agent::JobContext& context, const Look& look);

    InstallJobs& jobs_;
    oci::Registry* registry_;
};

} // namespace consign::install
