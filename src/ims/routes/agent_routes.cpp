// What people do with agents. What agents do: agent_work_routes.cpp.
#include "ims/installs.hpp"
#include "ims/jobs.hpp"
#include "ims/routes.hpp"
#include <algorithm>
#include <format>

namespace consign::ims {
namespace {

using Answer = net::Async<Result<net::Response>>;

Answer list_agents(Call& call) {
    CONSIGN_CO_TRY(installs,
                   co_await call.core.db->read([](store::Connection& c) { return installs::list(c); }));
    std::map<InstallId, std::string> names;
    for (const auto& install : installs) names[install.id] = install.name;
    std::vector<protocol::AgentView> views;
    for (const auto& agent : call.core.directory.agents())
        views.push_back({.id = agent.id,
                         .kind = agent.kind,
                         .install = agent.install ? names[agent.install] : std::string{},
                         .version = agent.version,
                         .hostname = agent.hostname,
                         .online = !agent.revoked && Directory::online(agent, call.core.clock.now()),
                         .revoked = agent.revoked,
                         .last_seen = Directory::last_seen(agent),
                         .enrolled_at = agent.enrolled_at});
    std::ranges::sort(views, {}, [](const auto& view) { return view.id; });
    co_return answer_list(std::move(views));
}

Answer enroll_token(Call& call) {
    CONSIGN_CO_TRY(request, call.json<protocol::EnrollTokenRequest>());
    CONSIGN_CO_TRY(view,
                   co_await call.core.change([ttl = request.ttl_s, who = call.caller.name()](Change& change) {
                       return auth::make_enroll_token(change, protocol::AgentKind::build, {}, ttl, who);
                   }));
    view.command = std::format("consign build-agent --ims {} --enroll {}", call.core.public_url, view.token);
    co_return answer(view, 201);
}

/// Its tokens stop to work at once, and what it holds goes to another agent, if there is one.
Answer revoke(Call& call) {
    CONSIGN_CO_TRY(id, call.id<AgentId>("id"));
    CONSIGN_CO_CHECK(co_await call.core.change([id,
                                                who = call.caller.name()](Change& change) -> Result<void> {
        CONSIGN_TRY(rows, change.tx.execute("UPDATE agents SET revoked=1 WHERE id=$1", {id}));
        if (rows == 0) return fail(Code::not_found, "no agent " + id.str(), "see: consign agent list");
        CONSIGN_TRY(held, jobs::find(change.tx, "agent=$1 AND state IN ('leased', 'running')", {id}));
        for (auto& job : held)
            CONSIGN_CHECK(jobs::lose(change, std::move(job), jobs::Loss::expired, "its agent was revoked"));
        change.effects.agents.insert(id);
        change.effects.tell.insert(id);
        CONSIGN_CHECK(change.audit(who, "agent.revoke", id.str()));
        return change.event({.kind = "agent.revoked", .detail = id.str()});
    }));
    co_return answer(json::Value::object());
}

constexpr Route kRoutes[] = {
    {net::Verb::get,
     "/v1/agents",
     list_agents,
     Access::viewer,
     "All agents, and whether they are online",
     {.gives = kGives<protocol::List<protocol::AgentView>>}},
    {net::Verb::post,
     "/v1/agents/enroll-token",
     enroll_token,
     Access::operator_,
     "A one-use token to enrol a build agent",
     {.takes = kTakes<protocol::EnrollTokenRequest>,
      .gives = kGives<protocol::EnrollTokenView>,
      .status = 201}},
    {net::Verb::post,
     "/v1/agents/{id}/revoke",
     revoke,
     Access::operator_,
     "Takes an agent's rights away at once",
     {.gives = kAnyObject}},
};

} // namespace

std::span<const Route> agent_routes() { return kRoutes; }

} // namespace consign::ims
