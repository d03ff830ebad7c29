#pragma once
// The part of a bundle's deploy that touches what runs: the `current` link and the service.
#include "install/state.hpp"
#include "install/supervisor.hpp"

namespace consign::install {

class Switchover {
  public:
    Switchover(Supervisor& supervisor, std::string component, ComponentPaths paths)
        : supervisor_(supervisor), component_(std::move(component)), paths_(std::move(paths)) {}

    /// Stops what else runs, points `current` at `release`, starts its service. Does nothing twice: where the
    /// release is active already, its service is left alone. After an error anything may be stopped:
    /// restore().
    Result<void> activate(const ReleaseState& release);
    /// Gives up the candidate: back to the active release, or to nothing. Durable when it returns. The
    /// candidate is gone from `state` also if the active release's service cannot be started (that is the
    /// error).
    Result<void> restore(ComponentState& state);
    /// Nothing runs, nothing is current.
    Result<void> deactivate();

  private:
    Result<void> point_current_at(const std::string& release);

    Supervisor& supervisor_;
    std::string component_;
    ComponentPaths paths_;
};

ServiceSpec service_of(const ReleaseState& release, const ComponentPaths& paths);

} // namespace consign::install
