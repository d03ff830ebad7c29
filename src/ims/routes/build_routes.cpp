#include "consign/protocol/naming.hpp"
#include "ims/builds.hpp"
#include "ims/explain.hpp"
#include "ims/routes.hpp"
#include <format>

namespace consign::ims {
namespace {

using Answer = net::Async<Result<net::Response>>;

net::Async<Result<oci::ManifestBytes>> embedded_manifest(Core& core, std::string repository, Digest digest) {
    CONSIGN_CO_TRY(in_registry, core.registry->repository(repository));
    co_return co_await in_registry->fetch_manifest({.tag = {}, .digest = digest});
}

/// Where an artifact that a caller names must be: in the repository of that app and component, and really
/// there.
net::Async<Result<void>> check_artifact(Core& core, std::string repository, Digest digest) {
    auto found = co_await (core.proxy ? core.proxy->fetch_manifest(repository, digest)
                                      : embedded_manifest(core, repository, digest));
    if (!found && found.error().code == Code::not_found)
        co_return fail(Code::not_found,
                       std::format("{}@{} is not in the vendor registry", repository, digest.str()),
                       "push it first");
    if (!found) co_return std::unexpected(found.error());
    co_return Result<void>{};
}

Answer create_builds(Call& call) {
    CONSIGN_CO_TRY(request, call.json<protocol::CreateBuildsRequest>());
    for (const auto& [component, source] : request.sources) {
        if (source.repository != protocol::source_repository(request.app, component))
            co_return fail(Code::invalid_argument,
                           std::format("the source of '{}' must be in {}", component,
                                       protocol::source_repository(request.app, component)));
        CONSIGN_CO_CHECK(co_await check_artifact(call.core, source.repository, source.digest));
    }
    CONSIGN_CO_TRY(views, co_await call.core.change([request, url = call.core.public_url,
                                                     who = call.caller.name()](Change& change) {
        return builds::create(change, request, url, who);
    }));
    co_return answer(protocol::List<protocol::BuildView>{std::move(views)}, 201);
}

Answer record_build(Call& call) {
    CONSIGN_CO_TRY(request, call.json<protocol::RecordBuildRequest>());
    if (request.result)
        CONSIGN_CO_CHECK(
            co_await check_artifact(call.core, protocol::artifact_repository(request.app, request.component),
                                    request.result->digest));
    CONSIGN_CO_TRY(view, co_await call.core.change([request, who = call.caller.name()](Change& change) {
        return builds::record(change, request, who);
    }));
    co_return answer(view, 201);
}

/// A build waits for what its job waits for.
void explain(Explainer& explainer, protocol::BuildView& view) {
    if (!view.job) return;
    protocol::JobView job{.state = view.state, .since = view.created_at};
    explainer(job, {});
    view.waiting_for = job.waiting_for;
}

Answer get_build(Call& call) {
    CONSIGN_CO_TRY(id, call.id<BuildId>("id"));
    CONSIGN_CO_TRY(view,
                   co_await call.core.db->read([id](store::Connection& c) { return builds::get(c, id); }));
    Explainer explainer(call.core.directory, call.core.clock.now());
    explain(explainer, view);
    co_return answer(view);
}

Answer list_builds(Call& call) {
    const auto app = call.request.query.get_or("app", "");
    CONSIGN_CO_TRY(views,
                   co_await call.core.db->read([app](store::Connection& c) { return builds::list(c, app); }));
    Explainer explainer(call.core.directory, call.core.clock.now());
    for (auto& view : views) explain(explainer, view);
    co_return answer_list(std::move(views));
}

constexpr Route kRoutes[] = {
    {net::Verb::get,
     "/v1/builds",
     list_builds,
     Access::viewer,
     "The newest 200 builds",
     {.gives = kGives<protocol::List<protocol::BuildView>>,
      .query = {{{"app", "string", "only those of this app"}}}}},
    {net::Verb::post,
     "/v1/builds",
     create_builds,
     Access::ci,
     "Queues a build per component",
     {.takes = kTakes<protocol::CreateBuildsRequest>,
      .gives = kGives<protocol::List<protocol::BuildView>>,
      .status = 201}},
    {net::Verb::post,
     "/v1/builds/record",
     record_build,
     Access::ci,
     "Records a build that ran elsewhere",
     {.takes = kTakes<protocol::RecordBuildRequest>, .gives = kGives<protocol::BuildView>, .status = 201}},
    {net::Verb::get,
     "/v1/builds/{id}",
     get_build,
     Access::viewer,
     "One build",
     {.gives = kGives<protocol::BuildView>}},
};

} // namespace

std::span<const Route> build_routes() { return kRoutes; }

} // namespace consign::ims
