#pragma once
#include "install/bundle_deployer.hpp"
#include "install/release_directory.hpp"
#include "install/switchover.hpp"

namespace consign::install {

/// One attempt to bring one bundle to one release. Its members are the steps; run() is their order.
class BundleApply {
  public:
    BundleApply(agent::JobContext& context, const Deployment& deployment, Supervisor& supervisor,
                const BundleOptions& options);
    agent::JobOutcome run();

  private:
    Result<ReleaseState> prepare();
    Result<void> unpack(const std::filesystem::path& target);
    agent::JobOutcome confirm_unchanged(ReleaseState release);
    Result<void> provision(const ReleaseState& release);
    agent::JobOutcome switch_to(ReleaseState release);
    agent::JobOutcome go_back(Error error);
    std::string await_restored();
    void forget_old_releases();
    agent::JobOutcome failed(Error error, bool rolled_back = false);
    agent::JobOutcome succeeded(bool changed, std::string_view detail);

    agent::JobContext& context_;
    const Deployment& deployment_;
    Supervisor& supervisor_;
    const BundleOptions& options_;
    const std::string& component_;
    const ComponentPaths& paths_;
    Switchover switchover_;
    ComponentState state_;
    bool reused_ = false; ///< the release directory was there already
};

/// Runs each command in the release directory, its output in the job's log. failed names the command and how
/// it ended. Commands that an agent left running when it was killed are ended first: a repetition must not
/// run beside what it repeats.
Result<void> run_commands(agent::JobContext& context, const std::vector<model::Argv>& commands,
                          const ReleaseState& release, const ComponentPaths& paths);

} // namespace consign::install
