#pragma once
// The build agent's work: source → artifact in the vendor registry.
#include "consign/agent/job.hpp"

namespace consign::build {

/// The handler for build jobs.
agent::JobHandlers job_handlers();

struct BuildHere {
    std::string ims;           ///< URL
    Secret<std::string> token; ///< a user's, role ci or more
    std::string app;
    std::string component;             ///< empty: all, in dependency order
    std::filesystem::path source_root; ///< where the app's relative sources are
    std::string ca_file = {};
    std::function<void(std::string_view)> log = {}; ///< progress lines
};
/// CI mode: builds here and now, pushes, records each build with the IMS (failed ones too). The error is the
/// first component's that failed.
Result<std::vector<protocol::BuildView>> build_here(const BuildHere& request, std::stop_token stop);

} // namespace consign::build
