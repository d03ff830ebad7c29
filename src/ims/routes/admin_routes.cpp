// Tokens, audit, events, status, and what machines ask: health, metrics, OpenAPI.
#include "ims/events.hpp"
#include "ims/openapi.hpp"
#include "ims/routes.hpp"
#include "ims/streams.hpp"
#include <algorithm>
#include <format>

namespace consign::ims {
namespace {

using Answer = net::Async<Result<net::Response>>;

Answer create_token(Call& call) {
    CONSIGN_CO_TRY(request, call.json<protocol::CreateTokenRequest>());
    CONSIGN_CO_TRY(view, co_await call.core.change([request, who = call.caller.name()](Change& change) {
        return auth::make_user_token(change, request, who);
    }));
    co_return answer(view, 201);
}

Answer list_tokens(Call& call) {
    CONSIGN_CO_TRY(views, co_await call.core.db->read([](store::Connection& c) {
        return c.query_all(
            "SELECT id, name, role, created_at, expires_at FROM user_tokens WHERE revoked=0 ORDER BY id", {},
            [](const store::Row& row) {
                return protocol::TokenView{
                    .id = row.id<TokenId>(0),
                    .name = row.string(1),
                    .role = json::enum_from<protocol::Role>(row.text(2)).value_or(protocol::Role::viewer),
                    .created_at = row.time(3),
                    .expires_at = row.optional_time(4)};
            });
    }));
    co_return answer_list(std::move(views));
}

Answer revoke_token(Call& call) {
    CONSIGN_CO_TRY(id, call.id<TokenId>("id"));
    if (call.caller.user->id == id)
        co_return fail(Code::conflict, "this is the token you call with",
                       "revoke it with another owner's token, or you lock yourself out");
    CONSIGN_CO_CHECK(
        co_await call.core.change([id, who = call.caller.name()](Change& change) -> Result<void> {
            CONSIGN_TRY(
                rows, change.tx.execute("UPDATE user_tokens SET revoked=1 WHERE id=$1 AND revoked=0", {id}));
            if (rows == 0) return fail(Code::not_found, "no token " + id.str(), "see: consign user list");
            change.effects.users = true;
            return change.audit(who, "token.revoke", id.str());
        }));
    co_return net::Response::empty(204);
}

protocol::AuditView audit_row(const store::Row& row) {
    return {.seq = row.integer(0),
            .at = row.time(1),
            .actor = row.string(2),
            .action = row.string(3),
            .subject = row.string(4),
            .detail = row.string(5)};
}

Answer list_audit(Call& call) {
    CONSIGN_CO_TRY(views, co_await call.core.db->read([](store::Connection& c) {
        return c.query_all(
            "SELECT seq, at, actor, action, subject, detail FROM audit ORDER BY seq DESC LIMIT 500", {},
            audit_row);
    }));
    co_return answer_list(std::move(views));
}

/// A blocking query: events after=SEQ, parked for wait=S until there is one; or a stream of them. after=-1
/// begins with the newest, at once, so that a follower knows where to begin.
Answer list_events(Call& call) {
    const bool stream = net::wants_event_stream(call.request.headers);
    CONSIGN_CO_TRY(after, call.number("after", 0, -1, std::numeric_limits<std::int64_t>::max()));
    CONSIGN_CO_TRY(wait_s, call.number("wait", 0, 0, 55));
    if (stream) {
        CONSIGN_CO_TRY(resumed, net::resume_from(call.request.headers, after));
        after = resumed;
    }
    if (after < 0) {
        CONSIGN_CO_TRY(newest,
                       co_await call.core.db->read([](store::Connection& c) { return events::newest(c); }));
        after = newest - 1;
        wait_s = 0;
    }
    if (stream) co_return net::event_stream(call.request, event_feed(call.core, call.caller, after));
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(wait_s);
    for (;;) {
        const auto seen = call.core.events.version();
        CONSIGN_CO_TRY(found, co_await call.core.db->read(
                                  [after](store::Connection& c) { return events::after(c, after, {}); }));
        if (!found.empty() || wait_s == 0 || std::chrono::steady_clock::now() >= deadline)
            co_return answer_list(std::move(found));
        const auto woken = co_await call.request.parking->wait_past(call.core.events, seen, deadline);
        if (woken == net::Wake::gone) co_return fail(Code::cancelled, "the caller hung up");
        if (woken == net::Wake::draining) wait_s = 0;
    }
}

struct Counts {
    int apps = 0, installs = 0, waiting = 0, running = 0;
};
Result<Counts> count(store::Connection& c) {
    const auto number = [&](std::string_view sql) -> Result<int> {
        CONSIGN_TRY(
            n, c.query_one(sql, {}, [](const store::Row& row) { return static_cast<int>(row.integer(0)); }));
        return n.value_or(0);
    };
    CONSIGN_TRY(apps, number("SELECT COUNT(*) FROM apps"));
    CONSIGN_TRY(installs, number("SELECT COUNT(*) FROM installs"));
    // One state per query, so that each runs on its partial index however many jobs have ended.
    CONSIGN_TRY(queued_builds, number("SELECT COUNT(*) FROM jobs WHERE state = 'queued' AND kind = 'build'"));
    CONSIGN_TRY(queued_installs,
                number("SELECT COUNT(*) FROM jobs WHERE state = 'queued' AND install IS NOT NULL"));
    CONSIGN_TRY(blocked, number("SELECT COUNT(*) FROM jobs WHERE deploy IN (SELECT id FROM deploys WHERE "
                                "state IN ('queued', 'running')) AND state='blocked'"));
    CONSIGN_TRY(running, number("SELECT COUNT(*) FROM jobs WHERE state IN ('leased', 'running')"));
    return Counts{apps, installs, queued_builds + queued_installs + blocked, running};
}

Answer status(Call& call) {
    CONSIGN_CO_TRY(counts, co_await call.core.db->read([](store::Connection& c) { return count(c); }));
    CONSIGN_CO_TRY(refused, co_await call.core.db->read([](store::Connection& c) {
        return c.query_all("SELECT seq, at, actor, action, subject, detail FROM audit WHERE "
                           "action = 'pull_token.refused' ORDER BY seq DESC LIMIT 5",
                           {}, audit_row);
    }));
    protocol::StatusView view{.ims = call.core.vendor.id,
                              .version = call.core.options.version,
                              .registry = call.core.public_url,
                              .apps = counts.apps,
                              .installs = counts.installs,
                              .jobs_waiting = counts.waiting,
                              .jobs_running = counts.running,
                              .refused = std::move(refused)};
    for (const auto& agent : call.core.directory.agents()) {
        if (agent.revoked) continue;
        ++view.agents;
        view.agents_online += Directory::online(agent, call.core.clock.now());
    }
    co_return answer(view);
}

Answer healthz(Call&) { co_return net::Response::text(200, "ok\n"); }

/// Ready: the store answers. A full disk still reads.
Answer readyz(Call& call) {
    CONSIGN_CO_CHECK(co_await call.core.db->read([](store::Connection& c) {
        return c.query_one("SELECT 1", {}, [](const store::Row&) { return 1; });
    }));
    co_return net::Response::text(200, "ready\n");
}

/// Prometheus text format 0.0.4; totals only, no names.
Answer metrics(Call& call) {
    CONSIGN_CO_TRY(counts, co_await call.core.db->read([](store::Connection& c) { return count(c); }));
    int online = 0, parked = 0;
    for (const auto& agent : call.core.directory.agents()) {
        online += !agent.revoked && Directory::online(agent, call.core.clock.now());
        std::lock_guard lock(agent.presence->mutex);
        parked += agent.presence->parked;
    }
    std::string text;
    const auto put = [&](std::string_view type, std::string_view name, std::string_view help, auto value) {
        text += std::format("# HELP consign_{0} {1}\n# TYPE consign_{0} {2}\nconsign_{0} {3}\n", name, help,
                            type, value);
    };
    const auto& n = call.core.counters;
    put("counter", "http_requests_total", "API requests answered.", n.requests.load());
    put("counter", "http_refused_total", "API requests answered with a 4xx problem.", n.refused.load());
    put("counter", "http_failed_total", "API requests answered with a 5xx problem.", n.failed.load());
    put("counter", "polls_total", "Agent polls received.", n.polls.load());
    put("counter", "leases_total", "Leases handed out.", n.leases.load());
    put("gauge", "polls_parked", "Agent polls waiting now.", parked);
    put("gauge", "agents_online", "Agents heard from lately.", online);
    put("gauge", "apps", "Apps.", counts.apps);
    put("gauge", "installs", "Installs.", counts.installs);
    put("gauge", "jobs_waiting", "Jobs that wait.", counts.waiting);
    put("gauge", "jobs_running", "Jobs that an agent holds.", counts.running);
    auto response = net::Response::text(200, std::move(text));
    response.headers.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    co_return response;
}

Answer openapi(Call& call) {
    co_return net::Response::json(200, openapi_document(call.core.options.version));
}

constexpr Route kRoutes[] = {
    {net::Verb::get,
     "/v1/tokens",
     list_tokens,
     Access::owner,
     "User tokens, without their secrets",
     {.gives = kGives<protocol::List<protocol::TokenView>>}},
    {net::Verb::post,
     "/v1/tokens",
     create_token,
     Access::owner,
     "Makes a user token; shown once",
     {.takes = kTakes<protocol::CreateTokenRequest>, .gives = kGives<protocol::TokenView>, .status = 201}},
    {net::Verb::delete_,
     "/v1/tokens/{id}",
     revoke_token,
     Access::owner,
     "Revokes a user token at once",
     {.status = 204}},
    {net::Verb::get,
     "/v1/audit",
     list_audit,
     Access::operator_,
     "The newest 500 audit entries",
     {.gives = kGives<protocol::List<protocol::AuditView>>}},
    {net::Verb::get,
     "/v1/events",
     list_events,
     Access::viewer,
     "Events, oldest first",
     {.gives = kGives<protocol::List<protocol::EventView>>,
      .query = {{{"after", "integer", "the seq to go on after; -1: the newest event at once"}, kWait}},
      .stream = true,
      .deadline = kParkedDeadline}},
    {net::Verb::get,
     "/v1/status",
     status,
     Access::viewer,
     "The server at a glance",
     {.gives = kGives<protocol::StatusView>}},
    {net::Verb::get, "/v1/openapi.json", openapi, Access::anyone, "This description", {.gives = kAnyObject}},
    {net::Verb::get, "/healthz", healthz, Access::anyone, "The process lives", {.gives = kText}},
    {net::Verb::get, "/readyz", readyz, Access::anyone, "The store answers", {.gives = kText}},
    {net::Verb::get,
     "/metrics",
     metrics,
     Access::anyone,
     "Totals in Prometheus text format",
     {.gives = kText}},
};

} // namespace

std::span<const Route> admin_routes() { return kRoutes; }

} // namespace consign::ims
