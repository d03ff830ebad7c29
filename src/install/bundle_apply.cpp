// The order of things, and why a kill at any point does no harm:
//
//   prepare     touches nothing that runs; a directory has its name only when it is whole
//   provision   likewise; commands are the vendor's and must bear repetition
//   switch      state.json says `candidate` before anything is stopped
//   health      then state.json says `active`, or the switch is undone
//
// An attempt that finds its own release as the candidate goes on at the switch, which does nothing twice.
// Whoever finds another candidate undoes it first. So does the agent's start, if the candidate's service died
// with the machine.
#include "install/bundle_apply.hpp"
#include "consign/base/log.hpp"
#include "install/health.hpp"
#include "install/process_lock.hpp"
#include <algorithm>
#include <csignal>

namespace consign::install {
namespace {

// What one deploy may put of the service's log into the job's: enough for a stack trace, not for a flood.
constexpr std::size_t kServiceLogBudgetBytes = 64 << 10;
// The way back is not worth waiting for longer: the supervisor goes on trying by itself.
constexpr int kRestoredWithin = 30;

std::string show(const model::Argv& argv) {
    std::string out;
    for (const auto& argument : argv) out += (out.empty() ? "" : " ") + argument;
    return out;
}

} // namespace

namespace {

constexpr std::chrono::seconds kCommandGrace{10}; // from SIGTERM to SIGKILL, as for commands of our own

/// The lock that every command of the component holds. Whoever holds it now was started by an agent that is no
/// more: it gets SIGTERM, then SIGKILL.
Result<Fd> take_command_lock(agent::JobContext& context, const ComponentPaths& paths) {
    const auto file = paths.command_lock();
    const auto start = std::chrono::steady_clock::now();
    for (bool told = false;;) {
        CONSIGN_TRY(lock, try_lock(file));
        if (lock) return std::move(*lock);
        if (context.stop().stop_requested()) return fail(Code::cancelled, "cancelled");
        const auto waited = std::chrono::steady_clock::now() - start;
        if (waited > 2 * kCommandGrace)
            return fail(Code::unavailable, "commands of an earlier attempt cannot be ended",
                        "look for the processes that hold " + file.string());
        if (!std::exchange(told, true)) {
            context.log("commands of an attempt that was cut short still run: ending them\n");
            signal_lock_holders(file, SIGTERM);
        }
        if (waited > kCommandGrace) signal_lock_holders(file, SIGKILL);
        pause(std::chrono::milliseconds(50), context.stop());
    }
}

} // namespace

Result<void> run_commands(agent::JobContext& context, const std::vector<model::Argv>& commands,
                          const ReleaseState& release, const ComponentPaths& paths) {
    if (commands.empty()) return {};
    CONSIGN_TRY(lock, take_command_lock(context, paths));
    for (const auto& argv : commands) {
        context.log("$ " + show(argv) + "\n");
        const auto status = consign::run(
            {.argv = argv,
             .directory = paths.release(release.directory),
             .environment = environment_of(release.run),
             .held_open = lock.get()},
            [&](std::string_view piece) { context.log(piece); }, context.stop());
        if (!status) return std::unexpected(status.error());
        if (!status->ok())
            return fail(Code::failed, "'" + show(argv) + "' ended with " + status->describe(),
                        "its output is in the job's log");
    }
    return {};
}

BundleApply::BundleApply(agent::JobContext& context, const Deployment& deployment, Supervisor& supervisor,
                         const BundleOptions& options)
    : context_(context), deployment_(deployment), supervisor_(supervisor), options_(options),
      component_(deployment.spec.component.name), paths_(deployment.paths),
      switchover_(supervisor, deployment.spec.component.name, deployment.paths) {}

agent::JobOutcome BundleApply::run() {
    auto loaded = load_state(paths_);
    if (!loaded) return failed(loaded.error());
    if (*loaded) state_ = std::move(**loaded);

    context_.begin_step("prepare");
    auto release = prepare();
    if (!release) return failed(release.error());
    if (context_.stop().stop_requested())
        return failed({Code::cancelled, "cancelled before anything was changed"});

    // By content, not by name: what was just unpacked under the candidate's name is something else, for which
    // no command has run yet. (A disk that was full can have left a candidate without its directory.)
    const bool interrupted =
        reused_ && state_.candidate && state_.candidate->directory == release->directory;
    if (state_.candidate && !interrupted) {
        context_.log("an earlier deploy of " + state_.candidate->version + " was interrupted: undoing it\n");
        if (auto restored = switchover_.restore(state_); !restored)
            context_.log("its predecessor cannot be started: " + to_string(restored.error()) + "\n");
    }
    if (!interrupted && state_.active && state_.active->directory == release->directory)
        return confirm_unchanged(std::move(*release));
    if (interrupted) {
        context_.log("an earlier attempt came as far as the switch: going on from there\n");
    } else if (auto provisioned = provision(*release); !provisioned) {
        return failed(provisioned.error());
    }
    return switch_to(std::move(*release));
}

Result<ReleaseState> BundleApply::prepare() {
    const auto& spec = deployment_.spec;
    CONSIGN_TRY(prepared,
                prepare_release(paths_, spec, make_scope(spec, options_.data, options_.registry),
                                [this](const std::filesystem::path& target) { return unpack(target); }));
    context_.log((prepared.reused ? "using the release directory that is here: " : "unpacked to ") +
                 paths_.release(prepared.name).string() + "\n");
    reused_ = prepared.reused;
    return ReleaseState{.version = spec.release,
                        .artifact = spec.artifact,
                        .directory = std::move(prepared.name),
                        .run = std::move(prepared.run)};
}

Result<void> BundleApply::unpack(const std::filesystem::path& target) {
    const auto file = context_.scratch() / "layer";
    CONSIGN_CHECK(
        context_.io().run(artifact::download_blob(deployment_.repository, deployment_.manifest.layer, file,
                                                  context_.io().blocking()),
                          context_.stop()));
    auto unpacked = artifact::unpack_layer(file, target, {}, context_.stop());
    (void)remove_tree(file); // the scratch directory goes with the attempt in any case
    return unpacked;
}

/// The same files, rendered the same, are active already: all that may have changed is what the release is
/// called.
agent::JobOutcome BundleApply::confirm_unchanged(ReleaseState release) {
    context_.begin_step("health");
    const bool relabelled = state_.active->version != release.version ||
                            state_.active->artifact.repository != release.artifact.repository;
    state_.active = std::move(release);
    if (relabelled)
        if (auto saved = save_state(paths_, state_); !saved) return failed(saved.error());

    const auto& active = *state_.active;
    const auto status = supervisor_.status(component_);
    const bool up = active.run.service.empty() || (status.running && status.release == active.directory);
    Result<void> healthy;
    if (up && active.run.health)
        healthy = probe_once(context_, *active.run.health,
                             {paths_.release(active.directory), environment_of(active.run)});
    if (up && healthy) return succeeded(false, "nothing to do: this release is active and healthy");
    if (context_.stop().stop_requested()) return failed({Code::cancelled, "cancelled; nothing was changed"});

    context_.log("this release is active, but not healthy (" +
                 (healthy ? std::string("its service is down") : healthy.error().message) +
                 "): restarting it\n");
    LogTail tail(paths_.service_log(), kServiceLogBudgetBytes);
    if (auto stopped = supervisor_.stop(component_); !stopped) return failed(stopped.error());
    auto restarted = switchover_.activate(active);
    if (restarted) restarted = await_healthy(context_, supervisor_, component_, active, paths_, tail);
    if (!restarted)
        return failed(with_context(restarted.error(),
                                   "health check of " + component_ + " " + active.version + " failed"));
    return succeeded(true, "restarted");
}

Result<void> BundleApply::provision(const ReleaseState& release) {
    const bool first = !state_.active;
    context_.begin_step(first ? "provision" : "update");
    const auto& commands = first || release.run.update.empty() ? release.run.provision : release.run.update;
    auto done = run_commands(context_, commands, release, paths_);
    if (!done && state_.active) done.error().message += "; " + state_.active->version + " runs on";
    return done;
}

agent::JobOutcome BundleApply::switch_to(ReleaseState release) {
    context_.begin_step("switch");
    if (context_.stop().stop_requested()) return failed({Code::cancelled, "cancelled before the switch"});
    state_.type = deployment_.spec.component.type;
    state_.candidate = std::move(release);
    if (auto saved = save_state(paths_, state_); !saved) return failed(saved.error());
    const auto& candidate = *state_.candidate;
    const auto name = component_ + " " + candidate.version;

    LogTail tail(paths_.service_log(), kServiceLogBudgetBytes);
    if (auto activated = switchover_.activate(candidate); !activated)
        return go_back(with_context(activated.error(), "cannot start " + name));

    context_.begin_step("health");
    if (auto healthy = await_healthy(context_, supervisor_, component_, candidate, paths_, tail); !healthy)
        return go_back(healthy.error().code == Code::cancelled
                           ? healthy.error()
                           : with_context(healthy.error(), "health check of " + name + " failed"));

    auto confirmed = state_;
    if (state_.active && state_.active->directory != candidate.directory) confirmed.previous = state_.active;
    confirmed.active = std::exchange(confirmed.candidate, std::nullopt);
    if (auto saved = save_state(paths_, confirmed); !saved) return go_back(saved.error());
    state_ = std::move(confirmed);
    return succeeded(true, "");
}

agent::JobOutcome BundleApply::go_back(Error error) {
    context_.log(error.message + "\n");
    context_.log(state_.active ? "rolling back to " + state_.active->version + "\n"
                               : "there is no earlier release to roll back to: stopping it\n");
    auto restored = switchover_.restore(state_);
    // A state that could not be written still names the candidate: its directory must stay with it.
    if (restored) forget_old_releases();
    if (!state_.active) {
        error.message += restored ? "; there was no release to roll back to, so it was stopped"
                                  : "; and stopping it failed: " + restored.error().message;
        return failed(std::move(error));
    }
    if (!restored) {
        error.message +=
            "; rolled back to " + state_.active->version +
            ", whose service cannot be started now (it is tried again): " + restored.error().message;
        return failed(std::move(error), true);
    }
    error.message += "; rolled back to " + state_.active->version + await_restored();
    return failed(std::move(error), true);
}

/// Best effort: "", or what the message should add.
std::string BundleApply::await_restored() {
    // Whoever asked to stop waits for us, and the supervisor needs nobody to watch it.
    if (context_.stop().stop_requested()) return "";
    auto release = *state_.active;
    if (release.run.health)
        release.run.health->within_s = std::min(release.run.health->within_s, kRestoredWithin);
    LogTail tail(paths_.service_log(), kServiceLogBudgetBytes);
    const auto healthy = await_healthy(context_, supervisor_, component_, release, paths_, tail);
    if (healthy || healthy.error().code == Code::cancelled) return "";
    context_.log(release.version + " runs again, but is not healthy: " + healthy.error().message + "\n");
    return ", which is not healthy either: " + healthy.error().message;
}

void BundleApply::forget_old_releases() {
    std::set<std::string> kept;
    for (const auto* release : {&state_.active, &state_.previous, &state_.candidate})
        if (*release) kept.insert((*release)->directory);
    if (auto removed = keep_only(paths_, kept);
        !removed) // room is lost, nothing else; the next deploy tries again
        log::warn("cannot remove old releases",
                  {{"component", component_}, {"error", to_string(removed.error())}});
}

agent::JobOutcome BundleApply::failed(Error error, bool rolled_back) {
    context_.end_step(protocol::StepState::failed, error.message);
    auto result = result_of(state_);
    result.rolled_back = rolled_back;
    return {.error = std::move(error), .result = json::encode(result)};
}

agent::JobOutcome BundleApply::succeeded(bool changed, std::string_view detail) {
    forget_old_releases();
    context_.end_step(protocol::StepState::succeeded, detail);
    auto result = result_of(state_);
    result.changed = changed;
    return {.error = std::nullopt, .result = json::encode(result)};
}

} // namespace consign::install
