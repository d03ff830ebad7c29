#include "ims/apps.hpp"
#include "ims/routes.hpp"

namespace consign::ims {
namespace {

using Answer = net::Async<Result<net::Response>>;

std::string all_faults(const std::vector<model::Fault>& faults) {
    std::string text;
    for (const auto& fault : faults) text += (text.empty() ? "" : "\n") + model::to_string(fault);
    return text;
}

Answer put_app(Call& call) {
    CONSIGN_CO_TRY(request, call.json<protocol::ApplyAppRequest>());
    auto config = model::parse_app_config(request.toml, request.file_name);
    if (!config) co_return fail(Code::invalid_argument, all_faults(config.error()), "nothing was stored");
    if (config->app != call.param("app"))
        co_return fail(Code::invalid_argument,
                       "the file is of app '" + config->app + "', the path says '" + call.param("app") + "'");
    CONSIGN_CO_TRY(view, co_await call.core.change([config = std::move(*config), toml = request.toml,
                                                    who = call.caller.name()](Change& change) {
        return apps::apply(change, config, toml, who);
    }));
    co_return answer(view);
}

/// The default of a sensitive input is a value that a viewer must not read.
void hide_sensitive(protocol::AppView& view) {
    for (auto& [name, input] : view.config.inputs)
        if (input.sensitive && input.default_value) input.default_value = "(sensitive)";
}

Answer get_app(Call& call) {
    CONSIGN_CO_TRY(view, co_await call.core.db->read([name = call.param("app")](store::Connection& c) {
        return apps::get(c, name);
    }));
    hide_sensitive(view);
    co_return answer(view);
}

Answer list_apps(Call& call) {
    CONSIGN_CO_TRY(views, co_await call.core.db->read([](store::Connection& c) { return apps::list(c); }));
    for (auto& view : views) hide_sensitive(view);
    co_return answer_list(std::move(views));
}

Answer create_release(Call& call) {
    CONSIGN_CO_TRY(request, call.json<protocol::CreateReleaseRequest>());
    CONSIGN_CO_TRY(view, co_await call.core.change(
                             [app = call.param("app"), version = request.version,
                              who = call.caller.name()](Change& change) -> Result<protocol::ReleaseView> {
                                 CONSIGN_TRY(release, apps::create_release(change, app, version));
                                 CONSIGN_CHECK(change.audit(who, "release.create", app, release.version));
                                 return std::move(release);
                             }));
    co_return answer(view, 201);
}

Answer list_releases(Call& call) {
    CONSIGN_CO_TRY(views, co_await call.core.db->read([app = call.param("app")](store::Connection& c) {
        return apps::releases(c, app);
    }));
    co_return answer_list(std::move(views));
}

constexpr Route kRoutes[] = {
    {net::Verb::get,
     "/v1/apps",
     list_apps,
     Access::viewer,
     "All apps with their newest config",
     {.gives = kGives<protocol::List<protocol::AppView>>}},
    {net::Verb::get,
     "/v1/apps/{app}",
     get_app,
     Access::viewer,
     "One app with its newest config",
     {.gives = kGives<protocol::AppView>}},
    {net::Verb::put,
     "/v1/apps/{app}",
     put_app,
     Access::operator_,
     "Applies a consign.toml: a new config version if it differs",
     {.takes = kTakes<protocol::ApplyAppRequest>,
      .gives = kGives<protocol::AppView>,
      .deadline = kUploadDeadline}},
    {net::Verb::get,
     "/v1/apps/{app}/releases",
     list_releases,
     Access::viewer,
     "Releases of an app, newest first",
     {.gives = kGives<protocol::List<protocol::ReleaseView>>}},
    {net::Verb::post,
     "/v1/apps/{app}/releases",
     create_release,
     Access::ci,
     "Makes a release of the newest builds",
     {.takes = kTakes<protocol::CreateReleaseRequest>,
      .gives = kGives<protocol::ReleaseView>,
      .status = 201}},
};

} // namespace

std::span<const Route> app_routes() { return kRoutes; }

} // namespace consign::ims
