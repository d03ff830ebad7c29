#pragma once
// Why queued jobs wait for their agents, and what to do about it.
#include "directory.hpp"

namespace consign::ims {

/// Made once per answer: however many jobs it explains, it looks at the agents once.
class Explainer {
  public:
    Explainer(const Directory& directory, Time now) : directory_(directory), now_(now) {}

    /// Adds to a queued job what it waits for: an agent that is not enrolled, has stopped or is away, or a
    /// free slot. `install`: empty for a build. Other jobs are left alone.
    void operator()(protocol::JobView& job, const InstallId& install);

  private:
    std::string away(const std::vector<AgentEntry>& agents) const;

    const Directory& directory_;
    Time now_;
    std::optional<std::vector<AgentEntry>> builders_; ///< read when the first build asks
};

} // namespace consign::ims
