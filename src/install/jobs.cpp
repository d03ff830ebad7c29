#include "install/jobs.hpp"
#include "consign/base/log.hpp"
#include "install/bundle_deployer.hpp"
#include "install/render.hpp"
#include "install/sync.hpp"
#include <algorithm>

namespace consign::install {
namespace {

namespace fs = std::filesystem;

/// An error from before the deployer's work: what ran runs on.
agent::JobOutcome refused(agent::JobContext& context, const ComponentPaths* paths, Error error) {
    context.end_step(protocol::StepState::failed, error.message);
    protocol::ApplyResult result;
    if (paths)
        if (const auto state = load_state(*paths); state && *state) result = result_of(**state);
    return {.error = std::move(error), .result = json::encode(result)};
}

/// The name becomes a directory: a server must not lead us out of ours.
Result<void> check_name(const std::string& component) {
    if (model::is_name(component)) return {};
    return fail(Code::invalid_argument, "'" + component.substr(0, 64) + "' is not a component name");
}

} // namespace

InstallJobs::InstallJobs(oci::Registry& registry, Supervisor& supervisor, InstallJobsOptions options)
    : InstallJobs([&registry](const std::string& name) { return registry.repository(name); }, supervisor,
                  std::move(options)) {}

InstallJobs::InstallJobs(OpenRepository open, Supervisor& supervisor, InstallJobsOptions options)
    : open_(std::move(open)), options_(std::move(options)) {
    kinds_.push_back(
        {model::ComponentType::bundle,
         make_bundle_deployer(supervisor, {.data = options_.data, .registry = options_.registry})});
}

Deployer* InstallJobs::deployer_for(model::ComponentType type) const {
    for (const auto& kind : kinds_)
        if (kind.type == type) return kind.deployer.get();
    return nullptr;
}

Result<void> InstallJobs::check(const protocol::ApplySpec& spec) const {
    CONSIGN_CHECK(check_name(spec.component.name));
    for (const auto& [name, artifact] : spec.dependencies) CONSIGN_CHECK(check_name(name));
    if (!deployer_for(spec.component.type))
        return fail(Code::unsupported,
                    "this agent cannot deploy components of type '" +
                        std::string(json::name_of(spec.component.type)) + "'",
                    "update the install agent");
    return {};
}

Result<artifact::ComponentManifest>
InstallJobs::bring(agent::JobContext& context, const protocol::ApplySpec& spec, oci::Repository& local) {
    context.begin_step("sync");
    CONSIGN_TRY(synced, sync_artifact(context, local, spec.artifact, spec.release));
    context.end_step(protocol::StepState::succeeded, synced);

    context.begin_step("verify");
    CONSIGN_TRY(manifest,
                context.io().run(artifact::read_component(local, spec.artifact.digest), context.stop()));
    const auto wanted = json::name_of(spec.component.type);
    if (manifest.component_type != wanted)
        return fail(Code::corrupt, "the artifact " + spec.artifact.digest.str() + " is a " +
                                       manifest.component_type + ", but the release says " +
                                       spec.component.name + " is a " + std::string(wanted));
    return std::move(manifest);
}

agent::JobOutcome InstallJobs::apply(agent::JobContext& context) {
    const auto decoded = json::decode<protocol::ApplySpec>(context.lease().spec);
    if (!decoded)
        return refused(context, nullptr, with_context(decoded.error(), "the job's spec cannot be read"));
    const auto& spec = *decoded;
    for (auto& secret : secrets_of(spec)) context.redact(std::move(secret));
    if (auto good = check(spec); !good) return refused(context, nullptr, good.error());

    const auto paths = paths_of(options_.data, spec.component.name);
    const auto turn = locks_.acquire(spec.component.name, context.stop());
    if (!turn) return refused(context, &paths, turn.error());
    std::shared_lock using_artifacts(artifacts_in_use_, std::defer_lock);
    while (!using_artifacts.try_lock_for(std::chrono::milliseconds(100))) // the registry's garbage is being collected
        if (context.stop().stop_requested())
            return refused(context, &paths, {Code::cancelled, "cancelled before it began"});
    const auto local = open_(spec.artifact.repository);
    if (!local) return refused(context, &paths, local.error());
    const auto manifest = bring(context, spec, **local);
    if (!manifest) return refused(context, &paths, manifest.error());
    return deployer_for(spec.component.type)
        ->apply(context, {.spec = spec, .manifest = *manifest, .repository = **local, .paths = paths});
}

agent::JobOutcome InstallJobs::teardown(agent::JobContext& context) {
    const auto spec = json::decode<protocol::TeardownSpec>(context.lease().spec);
    if (!spec) return refused(context, nullptr, with_context(spec.error(), "the job's spec cannot be read"));
    if (auto good = check_name(spec->component); !good) return refused(context, nullptr, good.error());

    const auto paths = paths_of(options_.data, spec->component);
    const auto turn = locks_.acquire(spec->component, context.stop());
    if (!turn) return refused(context, &paths, turn.error());
    const auto state = load_state(paths);
    if (!state) return refused(context, &paths, state.error());
    // The type is known to the state only. Without one there is nothing but, perhaps, the rest of a first
    // deploy that was killed, and a bundle's is the only kind that leaves any.
    const auto type = *state ? (*state)->type : model::ComponentType::bundle;
    auto* deployer = deployer_for(type);
    if (!deployer)
        return refused(context, &paths,
                       {Code::unsupported, "this agent cannot tear down components of type '" +
                                               std::string(json::name_of(type)) + "'"});
    return deployer->teardown(context, paths, spec->component);
}

Result<std::vector<std::string>> InstallJobs::components() const {
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator it(components_directory(options_.data), error), end; !error && it != end;
         it.increment(error))
        if (const auto name = it->path().filename().string(); model::is_name(name)) names.push_back(name);
    if (error) return fail(Code::internal, "cannot read the components' directory: " + error.message());
    std::ranges::sort(names);
    return names;
}

Result<void> InstallJobs::resume_all() {
    const auto components = components_directory(options_.data);
    CONSIGN_CHECK(make_directories(components));
    std::error_code error;
    std::vector<fs::path> found;
    for (fs::directory_iterator it(components, error), end; !error && it != end; it.increment(error))
        found.push_back(it->path());
    for (const auto& path : found) {
        const auto name = path.filename().string();
        if (name.starts_with(kRemovedPrefix)) {
            if (auto removed = remove_tree(path); !removed)
                log::warn("cannot remove what is left of a component",
                          {{"error", to_string(removed.error())}});
            continue;
        }
        const ComponentPaths paths{path};
        const auto state = load_state(paths);
        auto* deployer = state && *state ? deployer_for((*state)->type) : nullptr;
        auto resumed = deployer ? deployer->resume(paths, name) : Result<void>{};
        if (!state) resumed = std::unexpected(state.error());
        if (!resumed)
            log::error("cannot resume a component",
                       {{"component", name}, {"error", to_string(resumed.error())}});
    }
    return {};
}

} // namespace consign::install
