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
        CHECK(routes[i].shape.body_limit_bytes > 0);
        CHECK(routes[i].shape.body_limit_bytes <= (4u << 20));
        CHECK(routes[i].shape.deadline > std::chrono::seconds(0));
        CHECK(routes[i].shape.deadline <= kUploadDeadline);
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

TEST_CASE("every route says what it takes and gives", "[routes]") {
    for (const auto& route : all_routes()) {
        CAPTURE(route.path);
        const auto& shape = route.shape;
        // 204 and nothing, or a body of some schema.
        CHECK((shape.status == 204) == shape.gives.media_type.empty());
        for (const auto* content : {&shape.takes, &shape.gives, &shape.refuses})
            CHECK(content->media_type.empty() == (content->schema == nullptr));
        if (route.verb == net::Verb::get) CHECK(shape.takes.media_type.empty());
        // A long poll is parked for at most 55 s; its answer must still be in time.
        for (const auto& query : shape.query)
            if (query.name == "wait") CHECK(shape.deadline > std::chrono::seconds(60));
        // The work on a job is fenced, all of it.
        if (route.access == Access::agent) CHECK(shape.lease == route.path.starts_with("/v1/jobs/"));
    }
}

TEST_CASE("the description says what a client needs to know", "[routes]") {
    const auto document = json::parse(openapi_document("1.2.3"));
    REQUIRE(document);
    CHECK((*document)["info"]["version"] == "1.2.3");
    const auto& paths = (*document)["paths"];
    const auto& schemas = (*document)["components"]["schemas"];
    const auto& poll = paths["/v1/agent/poll"]["post"];
    CHECK(poll["x-access"] == "agent");
    CHECK(poll["requestBody"]["content"]["application/json"]["schema"]["$ref"] ==
          "#/components/schemas/PollRequest");
    CHECK(schemas["PollRequest"]["required"] == json::Value{"session", "slots"});
    CHECK(poll["responses"].contains("204"));
    CHECK(poll["responses"]["200"]["content"]["application/json"]["schema"]["$ref"] ==
          "#/components/schemas/PollResponse");
    const auto& logs = paths["/v1/jobs/{id}/logs"];
    CHECK(logs["get"]["responses"]["200"]["content"].contains("text/event-stream"));
    std::vector<std::string> names;
    for (const auto& parameter : logs["post"]["parameters"])
        names.push_back(parameter["in"].get<std::string>() + " " + parameter["name"].get<std::string>());
    CHECK(names == std::vector<std::string>{"path id", "query offset", "header Consign-Lease"});
    CHECK(paths["/v1/tokens/{id}"]["delete"]["responses"].contains("204"));
    CHECK(schemas["JobView"]["properties"]["state"]["enum"].size() == 10);
}
