#include "agent/credentials.hpp"
#include "agent/identity.hpp"
#include "unit/agent/fake_ims.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::agent;

namespace {

struct Fixture {
    test::FakeIms ims;
    PrivateKey key = PrivateKey::generate();
    Identity identity{.agent = ims.agent,
                      .ims_url = ims.url(),
                      .ims = "ims-under-test",
                      .vendor_public_key = "",
                      .install = {},
                      .install_name = ""};
    net::IoThread io;
    net::Client http{io.executor()};
    Credentials credentials{http, parse_ims_url(ims.url()).value(), identity, key};

    Fixture() {
        ims.with([&] { ims.key = key.public_key(); });
    }
    Result<std::string> token() { return io.run(credentials.token()); }
    int given() {
        return ims.with([&] { return ims.tokens_given; });
    }
};

} // namespace

TEST_CASE("an assertion says who asks whom, and is good for a minute", "[agent]") {
    const auto key = PrivateKey::generate();
    const auto agent = AgentId::make(from_millis(1));
    const Time now = from_millis(1'700'000'000'999);
    const auto assertion = make_assertion(agent, "ims_1", key, now);
    const auto claims = jwt::verify(assertion, key.public_key(), now);
    REQUIRE(claims);
    CHECK(claims->at("iss") == agent.str());
    CHECK(claims->at("sub") == agent.str());
    CHECK(claims->at("aud") == "ims_1");
    CHECK(claims->at("iat") == 1'700'000'000);
    CHECK(claims->at("exp") == 1'700'000'060);
    CHECK(claims->at("jti").get<std::string>().size() >= 16);
    CHECK(make_assertion(agent, "ims_1", key, now) != assertion);
    CHECK_FALSE(jwt::verify(assertion, PrivateKey::generate().public_key(), now));
}

TEST_CASE_METHOD(Fixture, "a token is kept until it is close to its end", "[agent]") {
    const auto first = token();
    REQUIRE(first);
    CHECK(token().value() == *first);
    CHECK(given() == 1);
}

TEST_CASE_METHOD(Fixture, "a token that ends at once is not kept", "[agent]") {
    ims.with([&] { ims.expires_in = 0; });
    const auto first = token();
    REQUIRE(first);
    CHECK(token().value() != *first);
    CHECK(given() == 2);
}

TEST_CASE_METHOD(Fixture, "a refused token is not handed out again, a newer one is", "[agent]") {
    const auto first = token();
    REQUIRE(first);
    credentials.refuse("another one");
    CHECK(token().value() == *first);
    credentials.refuse(*first);
    const auto second = token();
    REQUIRE(second);
    CHECK(*second != *first);
    credentials.refuse(*first); // somebody else's request was slow: the new one stays
    CHECK(token().value() == *second);
    CHECK(given() == 2);
}

TEST_CASE_METHOD(Fixture, "why there is no token is told as the IMS told it", "[agent]") {
    ims.fault("/v1/token", net::problem({Code::unauthenticated, "the agent's clock is 1 h behind",
                                         "synchronise the clocks of both machines (NTP)"}));
    const auto refused = token();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::unauthenticated);
    CHECK(refused.error().message == "no access token: the agent's clock is 1 h behind");
    CHECK(refused.error().hint == "synchronise the clocks of both machines (NTP)");
    CHECK(token()); // nothing of it is remembered
}

TEST_CASE_METHOD(Fixture, "what answers and is no IMS says nothing about the agent", "[agent]") {
    ims.fault("/v1/token", net::Response::text(401, "proxy login"));
    CHECK(token().error().code == Code::unavailable);
    ims.fault("/v1/token", net::Response::json(200, "{\"welcome\":true}"));
    CHECK_FALSE(token());
}
