#include "ims/access_tokens.hpp"
#include <catch2/catch.hpp>
#include <string>

using namespace consign;
using namespace consign::ims;

TEST_CASE("a token is known until its time is over", "[access_tokens]") {
    const Time now(Millis(1'700'000'000'000));
    const auto agent = std::make_shared<const Presence>(AgentId::make(now), Pool{});
    AccessTokens tokens;
    CHECK_FALSE(tokens.holder("a.b.c", now));
    tokens.remember("a.b.c", agent, now + std::chrono::seconds(10), now);
    CHECK(tokens.holder("a.b.c", now) == agent->agent);
    CHECK_FALSE(tokens.holder("a.b.d", now));
    CHECK(tokens.holder("a.b.c", now + std::chrono::milliseconds(9'999)));
    CHECK_FALSE(tokens.holder("a.b.c", now + std::chrono::seconds(10)));
}

TEST_CASE("what is remembered is bounded, and the expired goes first", "[access_tokens]") {
    const Time now(Millis(1'700'000'000'000));
    const auto agent = std::make_shared<const Presence>(AgentId::make(now), Pool{});
    AccessTokens tokens(3);
    tokens.remember("old", agent, now, now);
    tokens.remember("a", agent, now + std::chrono::seconds(10), now);
    tokens.remember("b", agent, now + std::chrono::seconds(10), now);
    tokens.remember("c", agent, now + std::chrono::seconds(10), now);
    CHECK(tokens.size() == 3);
    CHECK(tokens.holder("a", now));
    tokens.remember("d", agent, now + std::chrono::seconds(10), now);
    CHECK(tokens.size() == 1);
    CHECK(tokens.holder("d", now));
}
