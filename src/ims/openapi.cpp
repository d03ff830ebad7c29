#include "openapi.hpp"
#include "routes.hpp"
#include <algorithm>

namespace consign::ims {
namespace {

std::string_view role_of(Access access) {
    switch (access) {
    case Access::anyone:
        return "none";
    case Access::agent:
        return "agent";
    case Access::viewer:
        return "viewer";
    case Access::ci:
        return "ci";
    case Access::operator_:
        return "operator";
    case Access::owner:
        return "owner";
    }
    return "none";
}

json::Value parameter(std::string_view name, std::string_view in, std::string_view type, bool required,
                      std::string_view what) {
    json::Value out{{"name", name}, {"in", in}, {"schema", {{"type", type}}}};
    if (required) out["required"] = true;
    if (!what.empty()) out["description"] = what;
    return out;
}

json::Value parameters(const Route& route) {
    auto out = json::Value::array();
    for (auto rest = route.path; !rest.empty();) {
        const auto open = rest.find('{');
        if (open == std::string_view::npos) break;
        const auto close = rest.find('}', open);
        out.push_back(parameter(rest.substr(open + 1, close - open - 1), "path", "string", true, {}));
        rest.remove_prefix(close + 1);
    }
    for (const auto& query : route.shape.query)
        if (!query.name.empty())
            out.push_back(parameter(query.name, "query", query.type, query.required, query.what));
    if (route.shape.lease)
        out.push_back(parameter(protocol::kLeaseHeader, "header", "integer", true, "the lease's epoch"));
    if (route.shape.stream)
        out.push_back(parameter("Last-Event-ID", "header", "integer", false,
                                "with Accept: text/event-stream, the id of the last event that was read"));
    return out;
}

json::Value content(const Content& of, protocol::Schemas& schemas) {
    return {{std::string(of.media_type), {{"schema", of.schema(schemas)}}}};
}

json::Value responses(const Shape& shape, protocol::Schemas& schemas) {
    json::Value done{{"description", "done"}};
    if (!shape.gives.media_type.empty()) done["content"] = content(shape.gives, schemas);
    if (shape.stream) done["content"]["text/event-stream"] = {{"schema", {{"type", "string"}}}};
    json::Value out{{std::to_string(shape.status), std::move(done)},
                    {"default", {{"$ref", "#/components/responses/Problem"}}}};
    if (shape.or_status != 0) out[std::to_string(shape.or_status)] = out[std::to_string(shape.status)];
    if (shape.or_nothing) out["204"] = {{"description", "done; there is nothing to say"}};
    if (!shape.refuses.media_type.empty())
        out["409"] = {{"description", "refused; or a problem"}, {"content", content(shape.refuses, schemas)}};
    return out;
}

json::Value operation(const Route& route, protocol::Schemas& schemas) {
    json::Value out{{"summary", route.summary},
                    {"x-access", role_of(route.access)},
                    {"x-body-limit", route.shape.body_limit_bytes},
                    {"responses", responses(route.shape, schemas)}};
    if (auto all = parameters(route); !all.empty()) out["parameters"] = std::move(all);
    if (!route.shape.takes.media_type.empty())
        out["requestBody"] = {{"content", content(route.shape.takes, schemas)}};
    if (route.access != Access::anyone) out["security"] = {{{"bearer", json::Value::array()}}};
    return out;
}

json::Value problem_response() {
    json::Value properties = json::Value::object();
    for (const auto* name : {"type", "title", "detail", "code", "hint"})
        properties[name] = {{"type", "string"}};
    properties["status"] = {{"type", "integer"}};
    return {{"description", "RFC 9457 problem details"},
            {"content",
             {{"application/problem+json",
               {{"schema",
                 {{"type", "object"},
                  {"properties", std::move(properties)},
                  {"required", {"type", "title", "status", "detail", "code"}}}}}}}}};
}

} // namespace

std::string openapi_document(const std::string& version) {
    protocol::Schemas schemas;
    json::Value paths = json::Value::object();
    for (const auto& route : all_routes()) {
        std::string verb(net::name_of(route.verb));
        std::ranges::transform(verb, verb.begin(),
                               [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        paths[std::string(route.path)][verb] = operation(route, schemas);
    }
    return json::dump({{"openapi", "3.1.0"},
                       {"info", {{"title", "consign IMS"}, {"version", version}}},
                       {"paths", std::move(paths)},
                       {"components",
                        {{"schemas", schemas.known()},
                         {"responses", {{"Problem", problem_response()}}},
                         {"securitySchemes", {{"bearer", {{"type", "http"}, {"scheme", "bearer"}}}}}}}});
}

} // namespace consign::ims
