#pragma once
// Routes as data: each says who may call it and how large its body may be. The whole HTTP API is these
// tables.
#include "auth.hpp"
#include "consign/net/router.hpp"
#include <span>

namespace consign::ims {

/// Who may call: an agent, or a user of at least this role.
enum class Access { anyone, agent, viewer, ci, operator_, owner };

/// One request, authenticated, its body read.
struct Call {
    Core& core;
    net::Request& request;
    Caller caller;
    std::string body;

    /// The body, strictly: unknown fields are refused.
    template <class T>
    Result<T> json() const {
        return json::decode_text<T>(body.empty() ? "{}" : body, json::Unknown::refuse);
    }
    /// An id in the path; one that is malformed does not exist.
    template <class T>
    Result<T> id(std::string_view name) const {
        auto parsed = T::parse(request.param(name));
        if (!parsed) return fail(Code::not_found, parsed.error().message);
        return parsed;
    }
    std::string param(std::string_view name) const { return std::string(request.param(name)); }
    /// A whole number in the query, clamped.
    Result<std::int64_t> number(std::string_view name, std::int64_t otherwise, std::int64_t low,
                                std::int64_t high) const;
};

using RouteHandler = net::Async<Result<net::Response>> (*)(Call&);

struct Route {
    net::Verb verb;
    std::string_view path;
    RouteHandler handle;
    Access access;
    std::string_view summary;
    std::size_t body_limit_bytes = 4u << 20;
};

std::span<const Route> app_routes();
std::span<const Route> build_routes();
std::span<const Route> install_routes();
std::span<const Route> deploy_routes();
std::span<const Route> job_routes();        ///< for people
std::span<const Route> agent_routes();      ///< for people
std::span<const Route> agent_work_routes(); ///< for agents: enrol, token, poll, the work on a job
std::span<const Route> admin_routes();      ///< tokens, audit, events, status, health, metrics, OpenAPI
std::vector<Route> all_routes();

template <class T>
net::Response answer(const T& value, int status = 200) {
    return net::Response::json(status, json::to_text(value));
}
template <class T>
net::Response answer_list(std::vector<T> items) {
    return answer(protocol::List<T>{std::move(items)});
}

/// Dispatches /v1 and the operational paths; every failure is a problem+json.
class Api {
  public:
    explicit Api(Core& core);
    net::Async<net::Response> handle(net::Request& request);

  private:
    net::Async<Result<net::Response>> run(net::Request& request);
    Core& core_;
    std::vector<Route> routes_;
    net::Router router_;
};

} // namespace consign::ims
