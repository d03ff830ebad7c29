#include "install/upkeep.hpp"
#include <format>

namespace consign::install {
namespace {

using Kept = std::map<std::string, std::set<Digest>>; ///< repository → manifests that are needed

/// What the components here run, ran before, or are about to run.
Result<Kept> needed(InstallJobs& jobs) {
    Kept kept;
    CONSIGN_TRY(names, jobs.components());
    for (const auto& name : names) {
        CONSIGN_TRY(state, load_state(jobs.paths(name)));
        if (!state) continue;
        for (const auto* release : {&state->active, &state->candidate, &state->previous})
            if (*release) kept[(*release)->artifact.repository].insert((*release)->artifact.digest);
    }
    return kept;
}

/// Tags are what keeps artifacts; a needed one that has none is among the roots.
net::Async<Result<int>> drop_tags(oci::Registry& registry, const Kept& kept) {
    int dropped = 0;
    CONSIGN_CO_TRY(repositories, co_await registry.repositories());
    for (const auto& name : repositories) {
        CONSIGN_CO_TRY(repository, registry.repository(name));
        CONSIGN_CO_TRY(tags, co_await registry.tags(name));
        const auto needs = kept.find(name);
        for (const auto& tag : tags) {
            const auto manifest = co_await repository->fetch_manifest({.tag = tag, .digest = std::nullopt});
            if (manifest && needs != kept.end() && needs->second.contains(manifest->descriptor.digest))
                continue;
            CONSIGN_CO_CHECK(co_await repository->remove({.tag = tag, .digest = std::nullopt}));
            ++dropped;
        }
    }
    co_return dropped;
}

net::Async<Result<oci::GcRoots>> give(Kept kept) { co_return kept; }

net::Async<Result<oci::GcReport>> collect_unneeded(oci::Registry& registry, const Kept& kept, int& dropped) {
    CONSIGN_CO_TRY(gone, co_await drop_tags(registry, kept));
    dropped = gone;
    oci::GcOptions options;
    options.roots = [kept] { return give(kept); };
    co_return co_await registry.gc(std::move(options));
}

agent::JobOutcome failed(agent::JobContext& context, Error error) {
    context.end_step(protocol::StepState::failed, error.message);
    return {.error = std::move(error)};
}

} // namespace

agent::JobOutcome Upkeep::look_at_all(agent::JobContext& context, const Look& look) {
    protocol::FindingsResult result;
    const auto names = jobs_.components();
    if (!names) return {.error = names.error()};
    for (const auto& name : *names) {
        if (context.stop().stop_requested()) return failed(context, {Code::cancelled, "cancelled"});
        context.begin_step(name);
        const auto paths = jobs_.paths(name);
        const auto state = load_state(paths);
        if (!state) return failed(context, state.error());
        auto* deployer = *state ? jobs_.deployer_for((*state)->type) : nullptr;
        if (!deployer) { // the rest of a first deploy that was killed: nothing is there to look at
            context.end_step(protocol::StepState::succeeded, "nothing is deployed");
            continue;
        }
        auto found = look(*deployer, paths, name);
        if (!found) return failed(context, found.error());
        context.log(std::format("{}: {}\n", name, found->good          ? "good"
                                                  : found->detail.empty() ? "not good"
                                                                          : found->detail));
        context.end_step(protocol::StepState::succeeded, found->detail);
        result.components[name] = std::move(*found);
    }
    return {.error = std::nullopt, .result = json::encode(result)};
}

agent::JobOutcome Upkeep::health(agent::JobContext& context) {
    return look_at_all(context, [&](Deployer& deployer, const ComponentPaths& paths, const std::string& name) {
        return deployer.health(context, paths, name);
    });
}

agent::JobOutcome Upkeep::drift(agent::JobContext& context) {
    return look_at_all(context, [&](Deployer& deployer, const ComponentPaths& paths, const std::string&) {
        return deployer.drift(context, paths);
    });
}

agent::JobOutcome Upkeep::collect(agent::JobContext& context) {
    context.begin_step("collect");
    if (!registry_) {
        context.end_step(protocol::StepState::succeeded,
                         "the install's registry is another operator's: nothing is collected there");
        return {.error = std::nullopt, .result = json::encode(protocol::CollectResult{})};
    }
    // A deploy that has found its artifact here must find it until its component's state names it.
    const auto alone = jobs_.keep_artifacts_alone();
    if (!alone)
        return failed(context, {Code::unavailable, "a deploy is using the install's registry", "it is tried again"});
    auto kept = needed(jobs_);
    if (!kept) return failed(context, kept.error());
    int dropped = 0;
    const auto report = context.io().run(collect_unneeded(*registry_, *kept, dropped), context.stop());
    if (!report) return failed(context, report.error());
    context.log(std::format("{} tags dropped, {} manifests and {} blobs removed, {} bytes freed\n", dropped,
                            report->manifests_removed, report->files_removed, report->bytes_freed));
    context.end_step(protocol::StepState::succeeded, std::format("{} bytes freed", report->bytes_freed));
    return {.error = std::nullopt,
            .result = json::encode(protocol::CollectResult{
                .bytes_freed = report->bytes_freed, .blobs_removed = static_cast<int>(report->files_removed)})};
}

} // namespace consign::install
