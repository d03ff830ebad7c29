#include "core_fixture.hpp"
#include "ims/agents.hpp"

using namespace consign;
using namespace consign::ims;
using protocol::JobKind;

namespace {
std::string assertion(const CoreFixture& f, const AgentId& agent, const PrivateKey& key) {
    const auto now = to_millis(f.core.clock.now()) / 1000;
    return jwt::sign({{"iss", agent.str()},
                      {"sub", agent.str()},
                      {"aud", f.core.vendor.id},
                      {"iat", now},
                      {"exp", now + 60},
                      {"jti", random_token("")}},
                     key);
}
} // namespace

TEST_CASE("a new key is good beside the old one until it is used", "[agents]") {
    CoreFixture f;
    const auto agent = f.add_agent("acme");
    const auto fresh = PrivateKey::generate();
    const auto sign_in = [&](const PrivateKey& key) {
        return f.run(auth::exchange_assertion(f.core, assertion(f, agent.id, key))).has_value();
    };
    REQUIRE(f.change([&](Change& c) { return agents::ask_for_key(c, agent.id, "ann"); }));
    CHECK(f.core.directory.agent(agent.id)->rotate_key);
    CHECK_FALSE(sign_in(fresh));
    for (int i = 0; i < 2; ++i) // the answer may be lost: it is offered again
        REQUIRE(f.change([&](Change& c) {
            return agents::offer_key(c, agent.id, fresh.public_key().to_pem());
        }));
    CHECK(sign_in(agent.key));
    CHECK(sign_in(fresh));
    CHECK_FALSE(sign_in(agent.key));
    CHECK(sign_in(fresh));
    CHECK_FALSE(f.core.directory.agent(agent.id)->rotate_key);
    CHECK_FALSE(f.change([&](Change& c) { return agents::offer_key(c, agent.id, "not a key"); }));
}

TEST_CASE("an agent that is retired loses what it holds, and cannot be drained or get a key", "[agents]") {
    CoreFixture f;
    const auto agent = f.add_agent("acme");
    const auto id = f.add_job(agent.install);
    REQUIRE(f.change([&](Change& c) {
        return jobs::claim(c, claimant(agent.id, SessionId::make(c.now), Pool{agent.install}), 1,
                           std::chrono::seconds(45));
    }));
    REQUIRE(f.change([&](Change& c) { return agents::retire(c, agent.id, "revoked"); }));
    CHECK(f.job(id).state == model::JobState::queued);
    CHECK(f.core.directory.agent(agent.id)->revoked);
    const auto drained = f.change([&](Change& c) { return agents::set_draining(c, agent.id, true, "ann"); });
    CHECK(drained.error().code == Code::conflict);
    const auto asked = f.change([&](Change& c) { return agents::ask_for_key(c, agent.id, "ann"); });
    CHECK(asked.error().code == Code::conflict);
    const auto unknown = f.change(
        [&](Change& c) { return agents::set_draining(c, AgentId::make(c.now), true, "ann"); });
    CHECK(unknown.error().code == Code::not_found);
}

TEST_CASE("what an agent can do is what it says, or what its kind can", "[agents]") {
    using protocol::AgentKind;
    CHECK(agents::split_kinds("", AgentKind::build) == std::vector{JobKind::build});
    CHECK(agents::split_kinds("", AgentKind::install) == std::vector{JobKind::apply, JobKind::teardown});
    CHECK(agents::join_kinds({"apply", "fly", "gc"}) == "apply,gc");
    CHECK(agents::split_kinds("apply,gc", AgentKind::install) == std::vector{JobKind::apply, JobKind::gc});

    CoreFixture f;
    const auto agent = f.add_agent("acme");
    REQUIRE(f.change([&](Change& c) {
        return agents::report(c, agent.id, {.version = "2", .job_kinds = {"apply", "health"}});
    }));
    const auto known = f.core.directory.agent(agent.id);
    CHECK(known->version == "2");
    CHECK(known->job_kinds == std::vector{JobKind::apply, JobKind::health});
    const auto events = f.count("SELECT COUNT(*) FROM events WHERE kind='agent.version'");
    REQUIRE(f.change([&](Change& c) {
        return agents::report(c, agent.id, {.version = "2", .job_kinds = {"apply", "health"}});
    }));
    CHECK(f.count("SELECT COUNT(*) FROM events WHERE kind='agent.version'") == events);
    const auto too_much = f.change([&](Change& c) {
        return agents::report(c, agent.id, {.version = std::string(200, 'x'), .job_kinds = {}});
    });
    CHECK(too_much.error().code == Code::invalid_argument);
}
