#include "consign/net/router.hpp"
#include <algorithm>
#include <catch2/catch.hpp>

using namespace consign::net;

namespace {
Router make() {
    Router router;
    router.add(Verb::get, "/", 0);
    router.add(Verb::get, "/v1/jobs", 1);
    router.add(Verb::post, "/v1/jobs", 2);
    router.add(Verb::get, "/v1/jobs/{id}", 3);
    router.add(Verb::get, "/v1/jobs/next", 4);
    router.add(Verb::post, "/v1/jobs/{id}/complete", 5);
    router.add(Verb::get, "/v1/{kind}/next/x", 6);
    return router;
}
} // namespace

TEST_CASE("paths find their routes") {
    struct Row {
        Verb verb;
        std::string path;
        std::optional<std::size_t> want;
        std::string why;
    };
    const auto row = GENERATE(values<Row>({
        {Verb::get, "/", 0, "the root"},
        {Verb::get, "/v1/jobs", 1, "literal"},
        {Verb::post, "/v1/jobs", 2, "the verb decides"},
        {Verb::get, "/v1/jobs/7", 3, "a parameter"},
        {Verb::get, "/v1/jobs/next", 4, "a literal beats a parameter"},
        {Verb::post, "/v1/jobs/7/complete", 5, "a parameter in the middle"},
        {Verb::get, "/v1/jobs/next/x", 6, "the first parameter"},
        {Verb::get, "/v1/jobs/", std::nullopt, "a parameter is not empty"},
        {Verb::get, "/v1/jobs/7/", std::nullopt, "a trailing slash is another path"},
        {Verb::get, "v1/jobs", std::nullopt, "no leading slash"},
        {Verb::get, "", std::nullopt, "nothing"},
        {Verb::get, "/v1/jobs/%zz", std::nullopt, "a broken escape"},
    }));
    CAPTURE(row.why);
    CHECK(make().match(row.verb, row.path).index == row.want);
}

TEST_CASE("parameters are decoded, and cannot span segments") {
    const auto match = make().match(Verb::get, "/v1/jobs/a%2Fb%20c");
    CHECK(match.index == 3);
    CHECK(match.params.at("id") == "a/b c");
}

TEST_CASE("a path with another verb names the verbs it has") {
    const auto match = make().match(Verb::put, "/v1/jobs");
    CHECK_FALSE(match.index);
    CHECK(match.allowed.size() == 2);
    CHECK(std::ranges::find(match.allowed, Verb::post) != match.allowed.end());
    CHECK(make().match(Verb::get, "/none").allowed.empty());
}
