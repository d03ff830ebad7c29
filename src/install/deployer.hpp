#pragma once
#include "consign/agent/job.hpp"
#include "consign/artifact/component.hpp"
#include "install/state.hpp"

namespace consign::install {

/// An apply job whose artifact is in the local registry and verified.
struct Deployment {
    const protocol::ApplySpec& spec;
    const artifact::ComponentManifest& manifest;
    oci::Repository& repository; ///< the local one that holds the artifact
    ComponentPaths paths;
};

/// Brings artifacts of one component type to life. Both operations are safe to repeat after a crash at any
/// point; one at a time per component. They block and report their steps to the context; the state they leave
/// is on disk.
class Deployer {
  public:
    virtual ~Deployer() = default;
    /// On any error the release that ran before runs on, or again: result.rolled_back and the message say so.
    virtual agent::JobOutcome apply(agent::JobContext& context, const Deployment& deployment) = 0;
    /// Leaves nothing of the component. Succeeds where there is nothing already.
    virtual agent::JobOutcome teardown(agent::JobContext& context, const ComponentPaths& paths,
                                       const std::string& component) = 0;
    /// How the component is now. Changes nothing. An error: it could not be found out.
    virtual Result<protocol::Finding> health(agent::JobContext& context, const ComponentPaths& paths,
                                             const std::string& component) = 0;
    /// Whether what is there is what was put there. Changes nothing. An error: it could not be found out.
    virtual Result<protocol::Finding> drift(agent::JobContext& context, const ComponentPaths& paths) = 0;
    /// At the start of the agent: what should run runs again, adopted if it still does.
    virtual Result<void> resume(const ComponentPaths& paths, const std::string& component) = 0;
};

} // namespace consign::install
