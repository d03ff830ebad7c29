// What people do with agents. What agents do: agent_work_routes.cpp.
#include "ims/agents.hpp"
#include "ims/installs.hpp"
#include "ims/routes.hpp"
#include <algorithm>
#include <format>

namespace consign::ims {
namespace {

using Answer = net::Async<Result<net::Response>>;

std::vector<std::string> names_of(const std::vector<protocol::JobKind>& kinds) {
    std::vector<std::string> out;
    for (const auto kind : kinds) out.emplace_back(json::name_of(kind));
    return out;
}

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
                         .job_kinds = names_of(agent.job_kinds),
                         .online = !agent.revoked && Directory::online(agent, call.core.clock.now()),
                         .revoked = agent.revoked,
                         .draining = agent.draining,
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
    CONSIGN_CO_CHECK(
        co_await call.core.change([id, who = call.caller.name()](Change& change) -> Result<void> {
            CONSIGN_CHECK(agents::retire(change, id, "its agent was revoked"));
            return change.audit(who, "agent.revoke", id.str());
        }));
    co_return answer(json::Value::object());
}

Answer set_draining(Call& call, bool draining) {
    CONSIGN_CO_TRY(id, call.id<AgentId>("id"));
    CONSIGN_CO_CHECK(co_await call.core.change([id, draining, who = call.caller.name()](Change& change) {
        return agents::set_draining(change, id, draining, who);
    }));
    co_return answer(json::Value::object());
}
Answer drain(Call& call) { return set_draining(call, true); }
Answer resume(Call& call) { return set_draining(call, false); }

Answer rotate_key(Call& call) {
    CONSIGN_CO_TRY(id, call.id<AgentId>("id"));
    CONSIGN_CO_CHECK(co_await call.core.change([id, who = call.caller.name()](Change& change) {
        return agents::ask_for_key(change, id, who);
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
    {net::Verb::post,
     "/v1/agents/{id}/drain",
     drain,
     Access::operator_,
     "Gives an agent nothing new; it finishes what it has",
     {.gives = kAnyObject}},
    {net::Verb::post,
     "/v1/agents/{id}/resume",
     resume,
     Access::operator_,
     "Gives a drained agent work again",
     {.gives = kAnyObject}},
    {net::Verb::post,
     "/v1/agents/{id}/rotate-key",
     rotate_key,
     Access::operator_,
     "Asks an agent for a new key with its next poll",
     {.gives = kAnyObject}},
};

} // namespace

std::span<const Route> agent_routes() { return kRoutes; }

} // namespace consign::ims
