#include "consign/base/log.hpp"
#include "routes.hpp"
#include <charconv>
#include <format>

namespace consign::ims {
namespace {

Result<void> check_access(const Caller& caller, Access access) {
    if (access == Access::anyone) return {};
    if (!caller.user && !caller.agent)
        return fail(Code::unauthenticated, "this needs a token",
                    "give one: --token-file, CONSIGN_TOKEN or an Authorization header");
    if (access == Access::agent)
        return caller.agent ? Result<void>{} : fail(Code::permission_denied, "this is for agents only");
    if (!caller.user) return fail(Code::permission_denied, "this is for users, not for agents");
    constexpr std::pair<Access, protocol::Role> kNeeded[] = {{Access::viewer, protocol::Role::viewer},
                                                             {Access::ci, protocol::Role::ci},
                                                             {Access::operator_, protocol::Role::operator_},
                                                             {Access::owner, protocol::Role::owner}};
    for (const auto& [needed, role] : kNeeded)
        if (needed == access && caller.user->role < role)
            return fail(Code::permission_denied,
                        std::format("this needs the role {}; '{}' is {}", json::name_of(role),
                                    caller.user->name, json::name_of(caller.user->role)));
    return {};
}

} // namespace

Result<std::int64_t> Call::number(std::string_view name, std::int64_t otherwise, std::int64_t low,
                                  std::int64_t high) const {
    const auto text = request.query.get(name);
    if (!text) return otherwise;
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (error != std::errc{} || end != text->data() + text->size())
        return fail(Code::invalid_argument,
                    std::format("{}={} is not a whole number", name, text->substr(0, 32)));
    return std::clamp(value, low, high);
}

std::vector<Route> all_routes() {
    std::vector<Route> all;
    for (const auto part : {app_routes(), build_routes(), install_routes(), deploy_routes(), job_routes(),
                            agent_routes(), agent_work_routes(), registry_routes(), admin_routes()})
        all.insert(all.end(), part.begin(), part.end());
    return all;
}

Api::Api(Core& core) : core_(core), routes_(all_routes()) {
    for (std::size_t i = 0; i < routes_.size(); ++i) router_.add(routes_[i].verb, routes_[i].path, i);
}

net::Response conclude(Core& core, std::string_view path, Result<net::Response> outcome) {
    if (outcome) return std::move(*outcome);
    const int status = net::status_of(outcome.error().code);
    if (status >= 500) {
        ++core.counters.failed;
        log::error("request failed", {{"path", path}, {"error", to_string(outcome.error())}});
    } else {
        ++core.counters.refused;
    }
    return net::problem(outcome.error());
}

net::Async<net::Response> Api::handle(net::Request& request) {
    ++core_.counters.requests;
    co_return conclude(core_, request.path, co_await run(request));
}

net::Async<Result<net::Response>> Api::run(net::Request& request) {
    auto match = router_.match(request.verb, request.path);
    if (!match.index) {
        if (match.allowed.empty())
            co_return fail(Code::not_found, "no such path: " + request.path, "see /v1/openapi.json");
        std::string allowed;
        for (const auto verb : match.allowed)
            allowed += (allowed.empty() ? "" : ", ") + std::string(net::name_of(verb));
        auto response = net::Response::json(
            405,
            json::dump({{"type", "about:blank"},
                        {"title", "Method Not Allowed"},
                        {"status", 405},
                        {"code", name_of(Code::unsupported)},
                        {"detail", std::format("{} is not for {}", net::name_of(request.verb), request.path)},
                        {"hint", "use " + allowed}}));
        response.headers.set("Content-Type", "application/problem+json");
        response.headers.set("Allow", allowed);
        co_return response;
    }
    const Route& route = routes_[*match.index];
    request.parking->answer_within(route.shape.deadline);
    request.params = std::move(match.params);
    Call call{.core = core_, .request = request};
    // A route for anyone must work for whoever holds an old credential too (enrolling anew, say).
    if (route.access != Access::anyone) {
        CONSIGN_CO_TRY(caller, auth::authenticate(core_, request));
        CONSIGN_CO_CHECK(check_access(caller, route.access));
        call.caller = std::move(caller);
    }
    CONSIGN_CO_TRY(body, co_await net::read_all(*request.body, route.shape.body_limit_bytes));
    call.body = std::move(body);
    CONSIGN_CO_CHECK(auth::check_still_good(core_, call.caller));
    co_return co_await route.handle(call);
}

} // namespace consign::ims
