#pragma once
// Why jobs wait for their agents, and what to do about it.
#include "directory.hpp"

namespace consign::ims {

/// Made once per answer: however many jobs it explains, it looks at the agents once.
class Explainer {
  public:
    Explainer(const Directory& directory, Time now) : directory_(directory), now_(now) {}

    /// Adds to a job what it waits for, unless the store knew (views.hpp): of a queued one an agent that is not
    /// enrolled, has stopped, is away, takes nothing new or cannot do such jobs, or a free slot; of one that an
    /// agent holds, that agent's return. `install`: empty for a build.
    void operator()(protocol::JobView& job, const InstallId& install);

  private:
    protocol::WaitingFor queued(const protocol::JobView& job, const InstallId& install);
    std::string away(const std::vector<AgentEntry>& agents) const;

    const Directory& directory_;
    Time now_;
    std::optional<std::vector<AgentEntry>> builders_; ///< read when the first build asks
};

} // namespace consign::ims
