#include "consign/model/app_config.hpp"
#include <catch2/catch.hpp>

using namespace consign::model;

TEST_CASE("names are DNS labels") {
    for (const auto* good : {"a", "web", "web-1", "0", "a--b"}) {
        CAPTURE(good);
        CHECK(is_name(good));
    }
    for (const auto* bad : {"", "-a", "a-", "Web", "a_b", "a b", "a.b", "ä", "../x"}) {
        CAPTURE(bad);
        CHECK_FALSE(is_name(bad));
    }
    CHECK(is_name(std::string(63, 'a')));
    CHECK_FALSE(is_name(std::string(64, 'a')));
}

TEST_CASE("nearest finds likely typos and nothing else") {
    const std::vector<std::string> words{"db", "service", "provision", "depends_on"};
    CHECK(nearest("dbb", words) == "db");
    CHECK(nearest("sevrice", words) == "service");
    CHECK(nearest("depend_on", words) == "depends_on");
    CHECK(nearest("xyz", words) == std::nullopt);
    CHECK(nearest("q", {"a"}) == std::nullopt);
    CHECK(nearest("", words) == std::nullopt);
    CHECK(nearest(std::string(100'000, 'a'), {std::string(100'000, 'b')}) == std::nullopt);
}
