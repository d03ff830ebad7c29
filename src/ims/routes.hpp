#pragma once
// Routes as data: each says who may call it, how large its body may be and how long it may take. The whole
// HTTP API is these tables.
#include "auth.hpp"
#include "consign/net/router.hpp"
#include "consign/protocol/schema.hpp"
#include <array>
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

// From the request's head to the answer; what it takes beyond the work itself is waiting for the store, where
// thirty seconds mean that something is wrong. A body of megabytes over a slow line takes minutes. A long
// poll is parked for at most 55 s; a stream counts only until it begins.
inline constexpr std::chrono::seconds kAnswerDeadline{30};
inline constexpr std::chrono::seconds kUploadDeadline{180};
inline constexpr std::chrono::seconds kParkedDeadline{85};

/// What a body is: JSON of a described type, another media type, or none.
struct Content {
    std::string_view media_type = {}; ///< empty: no body
    json::Value (*schema)(protocol::Schemas&) = nullptr;
};
template <class T>
json::Value request_schema(protocol::Schemas& schemas) {
    return schemas.of<T>(protocol::Direction::request);
}
template <class T>
json::Value answer_schema(protocol::Schemas& schemas) {
    return schemas.of<T>(protocol::Direction::answer);
}
inline json::Value any_object(protocol::Schemas&) { return {{"type", "object"}}; }
inline json::Value some_text(protocol::Schemas&) { return {{"type", "string"}}; }

template <class T>
inline constexpr Content kTakes{"application/json", request_schema<T>};
template <class T>
inline constexpr Content kGives{"application/json", answer_schema<T>};
inline constexpr Content kAnyObject{"application/json", any_object};
inline constexpr Content kForm{"application/x-www-form-urlencoded", any_object};
inline constexpr Content kText{"text/plain", some_text};
inline constexpr Content kBytes{"application/octet-stream", some_text};

/// One in the query.
struct Parameter {
    std::string_view name = {}; ///< empty: none
    std::string_view type = {}; ///< "integer" or "string"
    std::string_view what = {};
    bool required = false;
};

/// Of the blocking queries.
inline constexpr Parameter kWait{"wait", "integer", "seconds to wait until there is something, 0 to 55"};

/// What goes in and comes out: limits that are enforced, and what the OpenAPI document says.
struct Shape {
    Content takes = {};
    Content gives = {};      ///< in an answer with `status`
    int status = 200;        ///< 204 where it gives nothing
    bool or_nothing = false; ///< 204 is an answer, too
    int or_status = 0;       ///< another one that gives the same: 202, say
    Content refuses = {};    ///< 409 with this instead of a problem
    std::array<Parameter, 3> query = {};
    bool lease = false;  ///< needs the header Consign-Lease
    bool stream = false; ///< as server-sent events, too
    std::size_t body_limit_bytes = 4u << 20;
    std::chrono::seconds deadline = kAnswerDeadline; ///< beyond it: 504, by net
};

struct Route {
    net::Verb verb;
    std::string_view path;
    RouteHandler handle;
    Access access;
    std::string_view summary;
    Shape shape;
};

std::span<const Route> app_routes();
std::span<const Route> build_routes();
std::span<const Route> install_routes();
std::span<const Route> deploy_routes();
std::span<const Route> job_routes();        ///< for people
std::span<const Route> agent_routes();      ///< for people
std::span<const Route> agent_work_routes(); ///< for agents: enrol, token, poll, the work on a job
std::span<const Route> registry_routes();   ///< upkeep of the embedded registry
std::span<const Route> admin_routes();      ///< tokens, audit, events, status, health, metrics, OpenAPI
std::vector<Route> all_routes();

/// What the peer is told of an outcome: the response, or the error as a problem; counted, and logged if it is ours.
net::Response conclude(Core& core, std::string_view path, Result<net::Response> outcome);

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
