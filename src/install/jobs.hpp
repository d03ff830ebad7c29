#pragma once
#include "consign/oci/registry.hpp"
#include "install/component_locks.hpp"
#include "install/deployer.hpp"
#include "install/supervisor.hpp"
#include <shared_mutex>

namespace consign::install {

struct InstallJobsOptions {
    std::filesystem::path data; ///< absolute
    std::string registry;       ///< "host:port", or "host/prefix", of the install registry, for templates
};

/// What apply and teardown jobs do, whatever the component type: check the spec, wait for the component's
/// turn, sync, verify, and hand over to the type's deployer. Thread-safe; the registry and the supervisor
/// must outlive it.
class InstallJobs {
  public:
    /// A repository of the install's registry, made if it is not there. May block; any thread.
    using OpenRepository = std::function<Result<std::unique_ptr<oci::Repository>>(const std::string& name)>;
    InstallJobs(OpenRepository open, Supervisor& supervisor, InstallJobsOptions options);
    /// On the embedded registry.
    InstallJobs(oci::Registry& registry, Supervisor& supervisor, InstallJobsOptions options);

    agent::JobOutcome apply(agent::JobContext& context);
    agent::JobOutcome teardown(agent::JobContext& context);

    // For upkeep.hpp.
    Deployer* deployer_for(model::ComponentType type) const; ///< null: this agent has none
    Result<std::vector<std::string>> components() const;     ///< that are here, or begun; sorted
    ComponentPaths paths(const std::string& component) const { return paths_of(options_.data, component); }
    /// While this is held no apply begins to use an artifact; none if one does now.
    std::unique_lock<std::shared_timed_mutex> keep_artifacts_alone() {
        return std::unique_lock(artifacts_in_use_, std::try_to_lock);
    }

    /// At start: sweeps what a crash left of removed components, then lets every component run again what it
    /// should. A component that cannot is logged and does not keep the others from it.
    Result<void> resume_all();

  private:
    struct Kind {
        model::ComponentType type;
        std::unique_ptr<Deployer> deployer;
    };
    Result<void> check(const protocol::ApplySpec& spec) const;
    Result<artifact::ComponentManifest> bring(agent::JobContext& context, const protocol::ApplySpec& spec,
                                              oci::Repository& local);

    const OpenRepository open_;
    const InstallJobsOptions options_;
    std::vector<Kind> kinds_; ///< the one table of component types
    ComponentLocks locks_;
    std::shared_timed_mutex artifacts_in_use_; ///< shared by applies
};

} // namespace consign::install
