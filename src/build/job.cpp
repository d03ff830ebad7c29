// The daemon's build job: steps "fetch source", "pack", "push".
#include "build/builder.hpp"
#include "build/patience.hpp"
#include "consign/build/build.hpp"
#include "consign/protocol/vendor_registry.hpp"

namespace consign::build {
namespace {

constexpr const char* kUsername = "agent"; // any name does: the registry knows the bearer by the token

net::Async<Result<SourceTree>> download(agent::JobContext& job, oci::RemoteOptions remote,
                                        protocol::ArtifactRef source) {
    const auto repository = oci::open_remote(job.http(), std::move(remote), source.repository);
    co_return co_await uploaded_source(*repository, source.digest, job.scratch(), job.io().blocking(),
                                       job.stop());
}

Result<SourceTree> fetch_source(agent::JobContext& job, const protocol::BuildSpec& spec,
                                const net::Url& registry) {
    if (spec.source) {
        job.log("source: " + spec.source->repository + "@" + spec.source->digest.str() + "\n");
        const auto log = [&job](std::string_view text) { job.log(text); };
        return patiently<SourceTree>("download", log, job.stop(), [&]() -> Result<SourceTree> {
            CONSIGN_TRY(token, job.access_token());
            oci::RemoteOptions remote{
                .registry = registry, .username = kUsername, .password = Secret<std::string>(token)};
            return job.io().run(download(job, std::move(remote), *spec.source), job.stop());
        });
    }
    if (const auto& git = spec.component.source.git) {
        if (auto password = password_in(git->url); !password.empty()) job.redact(std::move(password));
        job.log("source: " + git->url + " at " + git->ref + "\n");
        return git_source(*git, job.scratch(), [&job](std::string_view text) { job.log(text); }, job.stop());
    }
    return fail(Code::invalid_argument,
                "the source of " + spec.app + "/" + spec.component.name +
                    " is a directory, and none was uploaded with this build",
                "run `consign build " + spec.app + "/" + spec.component.name + " --source DIR`");
}

Result<protocol::BuildResult> build(agent::JobContext& job) {
    CONSIGN_TRY(spec, json::decode<protocol::BuildSpec>(job.lease().spec));
    CONSIGN_TRY(builder, builder_for(spec.component.type));
    CONSIGN_TRY(registry, protocol::vendor_registry(spec.registry, job.ims()));
    job.begin_step("fetch source");
    CONSIGN_TRY(source, fetch_source(job, spec, registry));
    if (job.stop().stop_requested()) return fail(Code::cancelled, "the build was stopped");
    BuildContext context{.app = spec.app,
                         .component = spec.component,
                         .source = std::move(source),
                         .registry = registry,
                         .repository = spec.repository,
                         .username = kUsername,
                         .password = [&job] { return job.access_token(); },
                         .io = job.io(),
                         .http = job.http(),
                         .scratch = job.scratch(),
                         .stop = job.stop(),
                         .step = [&job](std::string_view name) { job.begin_step(name); },
                         .log = [&job](std::string_view text) { job.log(text); }};
    return builder->build(context);
}

agent::JobOutcome run_build(agent::JobContext& job) {
    auto built = build(job);
    if (!built) {
        job.log("failed: " + to_string(built.error()) + "\n");
        return {.error = std::move(built).error()};
    }
    return {.error = {}, .result = json::encode(*built)};
}

} // namespace

agent::JobHandlers job_handlers() { return {{protocol::JobKind::build, run_build}}; }

} // namespace consign::build
