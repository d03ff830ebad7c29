#include "ims/installs.hpp"
#include "ims/routes.hpp"
#include "ims/schedules.hpp"
#include "ims/views.hpp"
#include <format>

namespace consign::ims {
namespace {

using Answer = net::Async<Result<net::Response>>;

void add_presence(const Core& core, protocol::InstallView& view) {
    const auto agent = core.directory.agent_of(view.id);
    if (!agent) return;
    view.agent = agent->id;
    view.agent_online = Directory::online(*agent, core.clock.now());
    view.agent_last_seen = Directory::last_seen(*agent);
}

Answer create_install(Call& call) {
    CONSIGN_CO_TRY(request, call.json<protocol::CreateInstallRequest>());
    CONSIGN_CO_TRY(view, co_await call.core.change([request, who = call.caller.name()](
                                                       Change& change) -> Result<protocol::InstallView> {
        CONSIGN_TRY(install, installs::create(change, request, who));
        return installs::view(change.tx, install);
    }));
    co_return answer(view, 201);
}

Answer get_install(Call& call) {
    CONSIGN_CO_TRY(view,
                   co_await call.core.db->read(
                       [name = call.param("name")](store::Connection& c) -> Result<protocol::InstallView> {
                           CONSIGN_TRY(install, installs::get(c, name));
                           return installs::view(c, install);
                       }));
    add_presence(call.core, view);
    co_return answer(view);
}

Answer list_installs(Call& call) {
    CONSIGN_CO_TRY(views, co_await call.core.db->read(
                              [](store::Connection& c) -> Result<std::vector<protocol::InstallView>> {
                                  CONSIGN_TRY(all, installs::list(c));
                                  std::vector<protocol::InstallView> out;
                                  for (const auto& install : all) {
                                      CONSIGN_TRY(view, installs::view(c, install));
                                      out.push_back(std::move(view));
                                  }
                                  return out;
                              }));
    for (auto& view : views) add_presence(call.core, view);
    co_return answer_list(std::move(views));
}

Answer set_inputs(Call& call) {
    CONSIGN_CO_TRY(request, call.json<protocol::SetInputsRequest>());
    CONSIGN_CO_TRY(view,
                   co_await call.core.change([name = call.param("name"), request, who = call.caller.name()](
                                                 Change& change) -> Result<protocol::InstallView> {
                       CONSIGN_TRY(install, installs::set_inputs(change, name, request.inputs, who));
                       return installs::view(change.tx, install);
                   }));
    add_presence(call.core, view);
    co_return answer(view);
}

Answer enroll_token(Call& call) {
    CONSIGN_CO_TRY(request, call.json<protocol::EnrollTokenRequest>());
    CONSIGN_CO_TRY(view, co_await call.core.change([name = call.param("name"), ttl = request.ttl_s,
                                                    who = call.caller.name()](
                                                       Change& change) -> Result<protocol::EnrollTokenView> {
        CONSIGN_TRY(install, installs::get(change.tx, name));
        return auth::make_enroll_token(change, protocol::AgentKind::install, install.id, ttl, who);
    }));
    view.command = std::format("consign install-agent --ims {} --enroll {} --data ./consign-{}",
                               call.core.public_url, view.token, call.param("name"));
    co_return answer(view, 201);
}

Answer run_now(Call& call) {
    CONSIGN_CO_TRY(request, call.json<protocol::RunNowRequest>());
    CONSIGN_CO_TRY(view, co_await call.core.change([name = call.param("name"), kind = request.kind,
                                                    who = call.caller.name()](
                                                       Change& change) -> Result<protocol::JobView> {
        CONSIGN_TRY(install, installs::get(change.tx, name));
        CONSIGN_TRY(id, schedules::run_now(change, install.id, kind));
        CONSIGN_CHECK(change.audit(who, "install.run", name, json::name_of(kind)));
        CONSIGN_TRY(job, jobs::get(change.tx, id));
        return views::job(change.tx, job, views::Detail::summary);
    }));
    co_return answer(view, 201);
}

constexpr Route kRoutes[] = {
    {net::Verb::get,
     "/v1/installs",
     list_installs,
     Access::viewer,
     "All installs",
     {.gives = kGives<protocol::List<protocol::InstallView>>}},
    {net::Verb::post,
     "/v1/installs",
     create_install,
     Access::operator_,
     "Makes an install of an app",
     {.takes = kTakes<protocol::CreateInstallRequest>,
      .gives = kGives<protocol::InstallView>,
      .status = 201,
      .deadline = kUploadDeadline}},
    {net::Verb::get,
     "/v1/installs/{name}",
     get_install,
     Access::viewer,
     "One install with its components",
     {.gives = kGives<protocol::InstallView>}},
    {net::Verb::put,
     "/v1/installs/{name}/inputs",
     set_inputs,
     Access::operator_,
     "Sets inputs; the next deploy uses them",
     {.takes = kTakes<protocol::SetInputsRequest>,
      .gives = kGives<protocol::InstallView>,
      .deadline = kUploadDeadline}},
    {net::Verb::post,
     "/v1/installs/{name}/jobs",
     run_now,
     Access::operator_,
     "Makes a job now that else comes by schedule: health, drift or gc",
     {.takes = kTakes<protocol::RunNowRequest>, .gives = kGives<protocol::JobView>, .status = 201}},
    {net::Verb::post,
     "/v1/installs/{name}/enroll-token",
     enroll_token,
     Access::operator_,
     "A one-use token to enrol the install's agent",
     {.takes = kTakes<protocol::EnrollTokenRequest>,
      .gives = kGives<protocol::EnrollTokenView>,
      .status = 201}},
};

} // namespace

std::span<const Route> install_routes() { return kRoutes; }

} // namespace consign::ims
