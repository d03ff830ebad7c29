#include "core_fixture.hpp"

using namespace consign;
using namespace consign::ims;

namespace {
std::int64_t seconds_from_now(int seconds) { return to_millis(SystemClock().now()) / 1000 + seconds; }

template <class T>
void refused(const Result<T>& result, Code code, std::string_view because) {
    REQUIRE_FALSE(result);
    CAPTURE(result.error().message);
    CHECK(result.error().code == code);
    CHECK(result.error().message.find(because) != std::string::npos);
}

net::Request with_header(std::string_view authorization) {
    net::Request request;
    if (!authorization.empty()) request.headers.set("Authorization", std::string(authorization));
    return request;
}
} // namespace

TEST_CASE("a user token is good until it is revoked or expires", "[auth]") {
    CoreFixture f;
    const auto made = f.add_user(protocol::Role::ci, 1);
    REQUIRE(made.token);
    CHECK(made.token->starts_with("cst_"));
    const auto caller = auth::authenticate_token(f.core, *made.token);
    REQUIRE(caller);
    REQUIRE(caller->user);
    CHECK(caller->user->role == protocol::Role::ci);
    CHECK(caller->name() == "ann");
    CHECK(auth::check_still_good(f.core, *caller));

    SECTION("revoked") {
        f.revoke(made.id);
        refused(auth::authenticate_token(f.core, *made.token), Code::unauthenticated, "revoked");
        refused(auth::check_still_good(f.core, *caller), Code::unauthenticated, "revoked");
    }
    SECTION("expired") {
        REQUIRE(f.change([&](Change& c) -> Result<void> {
            CONSIGN_CHECK(c.tx.execute("UPDATE user_tokens SET expires_at=$1", {c.now}));
            c.effects.users = true;
            return {};
        }));
        refused(auth::authenticate_token(f.core, *made.token), Code::unauthenticated, "expired");
        Caller old = *caller;
        old.user->expires_at = f.core.clock.now();
        refused(auth::check_still_good(f.core, old), Code::unauthenticated, "expired");
    }
    // Its hash is kept, not the token.
    CHECK(f.count("SELECT COUNT(*) FROM user_tokens WHERE hash LIKE 'cst_%'") == 0);
}

TEST_CASE("who gives no credential is nobody, and who gives a wrong one is refused", "[auth]") {
    CoreFixture f;
    const auto nobody = auth::authenticate(f.core, with_header(""));
    REQUIRE(nobody);
    CHECK(nobody->name() == "nobody");
    const auto user = f.add_user(protocol::Role::viewer);
    CHECK(auth::authenticate(f.core, with_header("Bearer " + *user.token)));
    const auto bad = GENERATE(as<std::string>(), "Basic x", "Bearer", "Bearer ", "Bearer cst_unknown",
                              "Bearer a.b.c", "bearer", "Bearer cpt_pull", "Bearer cet_enrol");
    CAPTURE(bad);
    const auto refusal = auth::authenticate(f.core, with_header(bad));
    REQUIRE_FALSE(refusal);
    CHECK(refusal.error().code == Code::unauthenticated);
}

TEST_CASE("an access token is for this API, of an agent that is not revoked", "[auth]") {
    CoreFixture f;
    const auto agent = f.add_agent();
    const auto claims = [&](const char* audience) {
        return json::Value{{"sub", agent.id.str()}, {"aud", audience}, {"exp", seconds_from_now(60)}};
    };
    const auto good = jwt::sign(claims("consign"), f.core.vendor.token_key);
    const auto caller = auth::authenticate_token(f.core, good);
    REQUIRE(caller);
    REQUIRE(caller->agent);
    CHECK(caller->agent->id == agent.id);
    CHECK(caller->name() == "agent " + agent.id.str());

    refused(auth::authenticate_token(f.core, jwt::sign(claims("registry"), f.core.vendor.token_key)),
            Code::unauthenticated, "something else");
    CHECK_FALSE(auth::authenticate_token(f.core, jwt::sign(claims("consign"), agent.key)));
    auto late = claims("consign");
    late["exp"] = seconds_from_now(-600);
    CHECK_FALSE(auth::authenticate_token(f.core, jwt::sign(late, f.core.vendor.token_key)));
    auto stranger = claims("consign");
    stranger["sub"] = "agt_01ARZ3NDEKTSV4RRFFQ69G5FAV";
    refused(auth::authenticate_token(f.core, jwt::sign(stranger, f.core.vendor.token_key)),
            Code::unauthenticated, "not known");
    f.revoke(agent.id);
    refused(auth::authenticate_token(f.core, good), Code::unauthenticated, "revoked");
    refused(auth::check_still_good(f.core, *caller), Code::unauthenticated, "revoked");
}

TEST_CASE("an assertion is exchanged once, and only if every claim is right", "[auth]") {
    CoreFixture f;
    const auto agent = f.add_agent(), other = f.add_agent();
    const auto claims = [&] {
        return json::Value{{"iss", agent.id.str()},
                           {"sub", agent.id.str()},
                           {"aud", f.core.vendor.id},
                           {"exp", seconds_from_now(60)},
                           {"jti", random_token("jti-")}};
    };
    const auto exchange = [&](const json::Value& what, const PrivateKey& key) {
        return f.run(auth::exchange_assertion(f.core, jwt::sign(what, key)));
    };
    SECTION("right") {
        const auto once = claims();
        const auto got = exchange(once, agent.key);
        REQUIRE(got);
        CHECK(got->expires_in == 3600);
        CHECK(auth::authenticate_token(f.core, got->access_token)->agent->id == agent.id);
        refused(exchange(once, agent.key), Code::unauthenticated, "used before");
        CHECK(exchange(claims(), agent.key));
    }
    SECTION("wrong") {
        struct Row {
            const char* claim;
            json::Value value;
            std::string_view because;
        };
        const std::vector<Row> rows{
            {"iss", other.id.str(), "iss is not its sub"},
            {"sub", "agt_01ARZ3NDEKTSV4RRFFQ69G5FAV", "not known"},
            {"sub", nullptr, "not known"},
            {"aud", "ims_another", "another server"},
            {"aud", nullptr, "another server"},
            {"exp", seconds_from_now(3600), "five minutes"},
            {"exp", "soon", ""},
            {"exp", seconds_from_now(-600), ""},
            {"jti", "short", "jti"},
            {"jti", std::string(200, 'x'), "jti"},
            {"jti", 7, "jti"},
        };
        for (const auto& row : rows) {
            CAPTURE(row.claim, row.value.dump());
            auto wrong = claims();
            wrong[row.claim] = row.value;
            refused(exchange(wrong, agent.key), Code::unauthenticated, row.because);
        }
        for (const auto* missing : {"iss", "sub", "aud", "exp", "jti"}) {
            CAPTURE(missing);
            auto wrong = claims();
            wrong.erase(missing);
            refused(exchange(wrong, agent.key), Code::unauthenticated, "");
        }
        CHECK_FALSE(exchange(claims(), other.key));
        CHECK_FALSE(f.run(auth::exchange_assertion(f.core, "nonsense")));
        CHECK_FALSE(f.run(auth::exchange_assertion(f.core, "")));
        CHECK(f.count("SELECT COUNT(*) FROM assertions") == 0); // nothing that was refused is remembered
    }
    SECTION("revoked") {
        f.revoke(agent.id);
        refused(exchange(claims(), agent.key), Code::unauthenticated, "revoked");
    }
}

TEST_CASE("an enrolment token enrols one agent of its kind, in its time", "[auth]") {
    Fixture f;
    const Vendor vendor{.id = "ims_x", .signing_public_key = PrivateKey::generate().public_key()};
    const auto pem = PrivateKey::generate().public_key().to_pem();
    const auto make = [&](int ttl) {
        return f.change([&](Change& c) {
            return auth::make_enroll_token(c, protocol::AgentKind::build, {}, ttl, "ann");
        });
    };
    const auto enroll = [&](const std::string& token, protocol::AgentKind kind = protocol::AgentKind::build,
                            std::string key = {}) {
        return f.change([&](Change& c) {
            return auth::enroll(c, vendor,
                                {.token = token,
                                 .public_key = key.empty() ? pem : key,
                                 .kind = kind,
                                 .version = "1",
                                 .hostname = "here"});
        });
    };
    for (const int ttl : {-1, 0, 59, 7 * 24 * 3600 + 1}) refused(make(ttl), Code::invalid_argument, "ttl_s");

    const auto token = make(60)->token;
    // What is refused does not burn it.
    refused(enroll(token, protocol::AgentKind::install), Code::invalid_argument, "build agent");
    CHECK_FALSE(enroll(token, protocol::AgentKind::build, "no key"));
    refused(enroll("cet_unknown"), Code::unauthenticated, "not known");
    const auto enrolled = enroll(token);
    REQUIRE(enrolled);
    CHECK(enrolled->ims == "ims_x");
    CHECK(f.effects.agents.contains(enrolled->agent));
    refused(enroll(token), Code::unauthenticated, "used already");

    const auto late = make(60)->token;
    f.clock.advance(std::chrono::seconds(61));
    refused(enroll(late), Code::unauthenticated, "expired");
}

TEST_CASE("a new agent of an install takes the place of the one before, and its work", "[auth]") {
    CoreFixture f;
    const auto first = f.add_agent("acme");
    const auto id = f.add_job(first.install);
    REQUIRE(f.change([&](Change& c) {
        return jobs::claim(c, claimant(first.id, SessionId::make(c.now), Pool{first.install}), 1,
                           std::chrono::seconds(45));
    }));
    const auto second = f.add_agent("acme");
    CHECK(f.core.directory.agent(first.id)->revoked);
    CHECK(f.core.directory.agent_of(first.install)->id == second.id);
    CHECK(f.job(id).state == model::JobState::queued);
    CHECK(f.read([](store::Connection& c) { return installs::get(c, "acme"); })->agent == second.id);
}

TEST_CASE("a user token has a name and a bounded life", "[auth]") {
    Fixture f;
    const auto make = [&](std::string name, int days) {
        return f.change([&](Change& c) {
            return auth::make_user_token(c, {.name = std::move(name), .ttl_days = days}, "owner");
        });
    };
    refused(make("", 0), Code::invalid_argument, "name");
    refused(make(std::string(65, 'x'), 0), Code::invalid_argument, "name");
    refused(make("ann", -1), Code::invalid_argument, "ttl_days");
    refused(make("ann", protocol::kLongestTokenDays + 1), Code::invalid_argument, "3650");
    CHECK(*make("ann", protocol::kLongestTokenDays)->expires_at == f.clock.now() + std::chrono::days(3650));
    CHECK_FALSE(make("bob", 0)->expires_at);
}
