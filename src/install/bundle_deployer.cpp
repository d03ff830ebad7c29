#include "install/bundle_deployer.hpp"
#include "consign/base/random.hpp"
#include "install/bundle_apply.hpp"
#include "install/health.hpp"
#include "install/release_directory.hpp"
#include <unistd.h>

namespace consign::install {
namespace {

namespace fs = std::filesystem;

/// Renamed first: a component is there or not, never half. What a crash leaves behind is swept when the site
/// opens.
Result<void> remove_component(const ComponentPaths& paths) {
    const auto doomed =
        paths.home.parent_path() /
        (std::string(kRemovedPrefix) + paths.home.filename().string() + "-" + to_hex(random_bytes(4)));
    if (::rename(paths.home.c_str(), doomed.c_str()) != 0) {
        if (errno == ENOENT) return {};
        return fail_errno("cannot remove '" + paths.home.string() + "'", errno);
    }
    CONSIGN_CHECK(fsync_directory(paths.home.parent_path()));
    return remove_tree(doomed);
}

class BundleDeployer final : public Deployer {
  public:
    BundleDeployer(Supervisor& supervisor, BundleOptions options)
        : supervisor_(supervisor), options_(std::move(options)) {}

    agent::JobOutcome apply(agent::JobContext& context, const Deployment& deployment) override {
        return BundleApply(context, deployment, supervisor_, options_).run();
    }

    agent::JobOutcome teardown(agent::JobContext& context, const ComponentPaths& paths,
                               const std::string& component) override {
        ComponentState state;
        auto done = tear_down(context, paths, component, state);
        context.end_step(done ? protocol::StepState::succeeded : protocol::StepState::failed,
                         done ? "" : done.error().message);
        if (done)
            return {.error = std::nullopt, .result = json::encode(protocol::ApplyResult{.changed = true})};
        return {.error = done.error(), .result = json::encode(result_of(state))};
    }

    Result<protocol::Finding> health(agent::JobContext& context, const ComponentPaths& paths,
                                     const std::string& component) override {
        CONSIGN_TRY(state, load_state(paths));
        if (!state || !state->active) return protocol::Finding{false, "nothing is deployed"};
        const auto& active = *state->active;
        if (!active.run.service.empty()) {
            const auto status = supervisor_.status(component);
            if (!status.running) return protocol::Finding{false, "its service is down"};
            if (status.release != active.directory)
                return protocol::Finding{false, "its service runs from " + status.release};
        }
        if (!active.run.health) return protocol::Finding{};
        const auto probed = probe_once(context, *active.run.health,
                                       {paths.release(active.directory), environment_of(active.run)});
        if (probed) return protocol::Finding{};
        if (probed.error().code == Code::cancelled) return std::unexpected(probed.error());
        return protocol::Finding{false, probed.error().message};
    }

    Result<protocol::Finding> drift(agent::JobContext& context, const ComponentPaths& paths) override {
        CONSIGN_TRY(state, load_state(paths));
        if (!state || !state->active) return protocol::Finding{};
        return compare_release(paths, state->active->directory, context.stop());
    }

    Result<void> resume(const ComponentPaths& paths, const std::string& component) override {
        CONSIGN_TRY(loaded, load_state(paths));
        if (!loaded) return {};
        Switchover switchover(supervisor_, component, paths);
        if (loaded->candidate) {
            // A switch was interrupted. If the new service lives, the repeated job decides; if it died with
            // the agent or the machine, the confirmed release is the better one to run until then.
            const auto record = read_service_record(paths);
            if (!record || record->release != loaded->candidate->directory || !is_alive(*record))
                return switchover.restore(*loaded);
            return switchover.activate(*loaded->candidate);
        }
        return loaded->active ? switchover.activate(*loaded->active) : switchover.deactivate();
    }

  private:
    Result<void> tear_down(agent::JobContext& context, const ComponentPaths& paths,
                           const std::string& component, ComponentState& state) {
        context.begin_step("teardown");
        CONSIGN_TRY(loaded, load_state(paths));
        if (loaded) state = std::move(*loaded);
        if (!state.active && !state.candidate)
            context.log("'" + component + "' is not here: nothing to run\n");
        if (const auto& release = state.active ? state.active : state.candidate) {
            std::error_code ignored;
            if (fs::is_directory(paths.release(release->directory), ignored))
                CONSIGN_CHECK(run_commands(context, release->run.teardown, *release, paths));
            else if (!release->run.teardown.empty())
                context.log("its release directory is gone: the teardown commands are left out\n");
        }

        context.begin_step("stop");
        if (context.stop().stop_requested())
            return fail(Code::cancelled, "cancelled before the service was stopped");
        CONSIGN_CHECK(Switchover(supervisor_, component, paths).deactivate());

        context.begin_step("remove");
        CONSIGN_CHECK(remove_component(paths));
        return {};
    }

    Supervisor& supervisor_;
    const BundleOptions options_;
};

} // namespace

std::unique_ptr<Deployer> make_bundle_deployer(Supervisor& supervisor, BundleOptions options) {
    return std::make_unique<BundleDeployer>(supervisor, std::move(options));
}

} // namespace consign::install
