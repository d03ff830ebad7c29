#include "ims/openapi.hpp"
#include "ims/routes.hpp"
#include <algorithm>
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::ims;

TEST_CASE("every route says what it does, bounds its body and is reachable", "[routes]") {
    const auto routes = all_routes();
    net::Router router; // aborts on two routes that are the same
    for (std::size_t i = 0; i < routes.size(); ++i) router.add(routes[i].verb, routes[i].path, i);
    for (std::size_t i = 0; i < routes.size(); ++i) {
        CAPTURE(routes[i].path);
        CHECK_FALSE(routes[i].summary.empty());
        CHECK(routes[i].body_limit_bytes > 0);
        CHECK(routes[i].body_limit_bytes <= (4u << 20));
        CHECK(router.match(routes[i].verb, routes[i].path).index == i);
    }
}

TEST_CASE("only these are open to anyone", "[routes]") {
    std::vector<std::string> open;
    for (const auto& route : all_routes())
        if (route.access == Access::anyone) open.emplace_back(route.path);
    std::ranges::sort(open);
    CHECK(open == std::vector<std::string>{"/healthz", "/metrics", "/readyz", "/v1/agents/enroll",
                                           "/v1/openapi.json", "/v1/token"});
}

TEST_CASE("what changes something is not for viewers", "[routes]") {
    for (const auto& route : all_routes())
        if (route.verb != net::Verb::get) {
            CAPTURE(route.path);
            CHECK(route.access != Access::viewer);
        }
}

TEST_CASE("the description has every route with its verb and who may call it", "[routes]") {
    const auto document = json::parse(openapi_document("1.2.3"));
    REQUIRE(document);
    std::size_t operations = 0;
    for (const auto& [path, verbs] : (*document)["paths"].items()) operations += verbs.size();
    CHECK(operations == all_routes().size());
    CHECK((*document)["paths"]["/v1/agent/poll"]["post"]["x-access"] == "agent");
    CHECK((*document)["info"]["version"] == "1.2.3");
}
