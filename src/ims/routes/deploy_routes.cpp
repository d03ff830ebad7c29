#include "ims/deploys.hpp"
#include "ims/explain.hpp"
#include "ims/installs.hpp"
#include "ims/routes.hpp"

namespace consign::ims {
namespace {

using Answer = net::Async<Result<net::Response>>;

struct Found {
    protocol::DeployView view;
    InstallId install;
};
Result<Found> find(store::Connection& c, const DeployId& id) {
    CONSIGN_TRY(view, deploys::get(c, id));
    CONSIGN_TRY(install, installs::get(c, view.install));
    return Found{std::move(view), install.id};
}

net::Response respond(const Core& core, Found found, int status) {
    Explainer explain(core.directory, core.clock.now());
    for (auto& job : found.view.jobs) {
        explain(job, found.install);
        // The deploy waits for what its first job that waits for something else than another job waits for.
        if (!found.view.waiting_for && job.waiting_for &&
            job.waiting_for->reason != protocol::WaitReason::dependency)
            found.view.waiting_for = job.waiting_for;
    }
    return answer(found.view, status);
}

Answer create_deploy(Call& call) {
    CONSIGN_CO_TRY(request, call.json<protocol::CreateDeployRequest>());
    CONSIGN_CO_TRY(found, co_await call.core.change(
                              [request, who = call.caller.name()](Change& change) -> Result<Found> {
                                  CONSIGN_TRY(id, deploys::create(change, request, who));
                                  return find(change.tx, id);
                              }));
    co_return respond(call.core, std::move(found), 201);
}

Answer get_deploy(Call& call) {
    CONSIGN_CO_TRY(id, call.id<DeployId>("id"));
    CONSIGN_CO_TRY(found, co_await call.core.db->read([id](store::Connection& c) { return find(c, id); }));
    co_return respond(call.core, std::move(found), 200);
}

using Decision = Result<void> (*)(Change&, const DeployId&, const protocol::DecideRequest&, std::string_view);

Answer decide(Call& call, Decision decision) {
    CONSIGN_CO_TRY(request, call.json<protocol::DecideRequest>());
    CONSIGN_CO_TRY(id, call.id<DeployId>("id"));
    CONSIGN_CO_TRY(found, co_await call.core.change([id, request, decision, who = call.caller.name()](
                                                        Change& change) -> Result<Found> {
        CONSIGN_CHECK(decision(change, id, request, who));
        return find(change.tx, id);
    }));
    co_return respond(call.core, std::move(found), 200);
}
Answer approve(Call& call) { return decide(call, deploys::approve); }
Answer reject(Call& call) { return decide(call, deploys::reject); }

Answer cancel(Call& call) {
    CONSIGN_CO_TRY(id, call.id<DeployId>("id"));
    CONSIGN_CO_TRY(found, co_await call.core.change(
                              [id, who = call.caller.name()](Change& change) -> Result<Found> {
                                  CONSIGN_CHECK(deploys::cancel(change, id, who));
                                  return find(change.tx, id);
                              }));
    co_return respond(call.core, std::move(found), 200);
}

Answer list_deploys(Call& call) {
    const auto install = call.request.query.get_or("install", "");
    CONSIGN_CO_TRY(views, co_await call.core.db->read(
                              [install](store::Connection& c) { return deploys::list(c, install); }));
    co_return answer_list(std::move(views));
}

constexpr Route kRoutes[] = {
    {net::Verb::get,
     "/v1/deploys",
     list_deploys,
     Access::viewer,
     "The newest 200 deploys, without jobs",
     {.gives = kGives<protocol::List<protocol::DeployView>>,
      .query = {{{"install", "string", "only those of this install"}}}}},
    {net::Verb::post,
     "/v1/deploys",
     create_deploy,
     Access::operator_,
     "Brings an install to a release, or tears it down",
     {.takes = kTakes<protocol::CreateDeployRequest>, .gives = kGives<protocol::DeployView>, .status = 201}},
    {net::Verb::get,
     "/v1/deploys/{id}",
     get_deploy,
     Access::viewer,
     "One deploy with its jobs",
     {.gives = kGives<protocol::DeployView>}},
    {net::Verb::post,
     "/v1/deploys/{id}/approve",
     approve,
     Access::operator_,
     "Lets the jobs run that wait for approval",
     {.takes = kTakes<protocol::DecideRequest>, .gives = kGives<protocol::DeployView>}},
    {net::Verb::post,
     "/v1/deploys/{id}/reject",
     reject,
     Access::operator_,
     "Skips the jobs that wait for approval, and what depends on them",
     {.takes = kTakes<protocol::DecideRequest>, .gives = kGives<protocol::DeployView>}},
    {net::Verb::post,
     "/v1/deploys/{id}/cancel",
     cancel,
     Access::operator_,
     "Ends what has not begun and asks the agent to stop the rest",
     {.gives = kGives<protocol::DeployView>}},
};

} // namespace

std::span<const Route> deploy_routes() { return kRoutes; }

} // namespace consign::ims
