#pragma once
#include "consign/agent/job.hpp"
#include "install/service_log.hpp"
#include "install/state.hpp"
#include "install/supervisor.hpp"

namespace consign::install {

/// Where a probe runs: its command in this directory, with this environment.
struct ProbeSite {
    std::filesystem::path directory;
    std::map<std::string, std::string> environment;
};

/// One try. The error (failed, or cancelled) says what was asked and what came: "GET http://… → 503: …".
/// Blocks.
Result<void> probe_once(agent::JobContext& context, const model::HealthProbe& probe, const ProbeSite& site);

/// Until the release is healthy: its service (if it has one) stays up and its probe (if it has one) succeeds.
/// Copies the service's new log lines into the job's log meanwhile: `tail` was made before the service was
/// started. Errors: failed with the last try's reason, after within_s or when the service keeps ending;
/// cancelled. Blocks.
Result<void> await_healthy(agent::JobContext& context, Supervisor& supervisor, const std::string& component,
                           const ReleaseState& release, const ComponentPaths& paths, LogTail& tail);

/// Waits; false as soon as `stop` is requested.
bool pause(std::chrono::milliseconds duration, std::stop_token stop);

/// The environment of everything that runs for a release: minimal_environment() and what the component
/// declares.
std::map<std::string, std::string> environment_of(const model::BundleRun& run);

} // namespace consign::install
