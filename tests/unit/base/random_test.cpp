#include "consign/base/random.hpp"
#include <catch2/catch.hpp>
#include <set>

using namespace consign;

TEST_CASE("random bytes come in the number asked for, and differ") {
    CHECK(random_bytes(0).empty());
    CHECK(random_bytes(1000).size() == 1000);
    CHECK(random_bytes(32) != random_bytes(32));
    CHECK(random_u64() != random_u64());
}

TEST_CASE("a random unit lies in [0, 1) and spreads over it") {
    double low = 1;
    double high = 0;
    for (int i = 0; i < 1000; ++i) {
        const double unit = random_unit();
        REQUIRE(unit >= 0);
        REQUIRE(unit < 1);
        low = std::min(low, unit);
        high = std::max(high, unit);
    }
    CHECK(low < 0.1); // 0.9^1000: never by chance
    CHECK(high > 0.9);
}

TEST_CASE("a token has its prefix and 256 bits") {
    const auto token = random_token("cst_");
    CHECK(token.starts_with("cst_"));
    CHECK(from_base64url(std::string_view(token).substr(4))->size() == 32);
    CHECK(random_token("cst_") != token);
}
