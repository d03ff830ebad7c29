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

json::Value operation(const Route& route) {
    auto parameters = json::Value::array();
    for (auto rest = route.path; !rest.empty();) {
        const auto open = rest.find('{');
        if (open == std::string_view::npos) break;
        const auto close = rest.find('}', open);
        parameters.push_back({{"name", rest.substr(open + 1, close - open - 1)},
                              {"in", "path"},
                              {"required", true},
                              {"schema", {{"type", "string"}}}});
        rest.remove_prefix(close + 1);
    }
    json::Value out{
        {"summary", route.summary},
        {"x-access", role_of(route.access)},
        {"responses",
         {{"2XX", {{"description", "done"}}}, {"default", {{"$ref", "#/components/responses/Problem"}}}}}};
    if (!parameters.empty()) out["parameters"] = std::move(parameters);
    if (route.access != Access::anyone) out["security"] = {{{"bearer", json::Value::array()}}};
    return out;
}

} // namespace

std::string openapi_document(const std::string& version) {
    json::Value paths = json::Value::object();
    for (const auto& route : all_routes()) {
        std::string verb(net::name_of(route.verb));
        std::ranges::transform(verb, verb.begin(),
                               [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        paths[std::string(route.path)][verb] = operation(route);
    }
    json::Value problem{{"description", "RFC 9457 problem details"},
                        {"content",
                         {{"application/problem+json",
                           {{"schema",
                             {{"type", "object"},
                              {"properties",
                               {{"type", {{"type", "string"}}},
                                {"title", {{"type", "string"}}},
                                {"status", {{"type", "integer"}}},
                                {"detail", {{"type", "string"}}},
                                {"code", {{"type", "string"}}},
                                {"hint", {{"type", "string"}}}}}}}}}}}};
    return json::dump({{"openapi", "3.1.0"},
                       {"info", {{"title", "consign IMS"}, {"version", version}}},
                       {"paths", std::move(paths)},
                       {"components",
                        {{"responses", {{"Problem", std::move(problem)}}},
                         {"securitySchemes", {{"bearer", {{"type", "http"}, {"scheme", "bearer"}}}}}}}});
}

} // namespace consign::ims
