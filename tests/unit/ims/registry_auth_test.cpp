#include "core_fixture.hpp"

using namespace consign;
using namespace consign::ims;
using oci::Action;

namespace {
/// An install agent with a job that it holds, and a pull token for its artifact.
struct Puller : CoreFixture {
    Agent agent = add_agent("acme");
    JobId job_id = add_job(agent.install);
    std::int64_t epoch = 0;
    protocol::ArtifactRef artifact{"shop/web", Digest::sha256_of("web")};
    std::string token;

    Puller() {
        auto claimed = change([&](Change& c) {
            return jobs::claim(c, claimant(agent.id, SessionId::make(c.now), Pool{agent.install}), 1,
                               std::chrono::seconds(45));
        });
        REQUIRE(claimed);
        REQUIRE(claimed->size() == 1);
        epoch = claimed->front().epoch;
        auto made = change(
            [&](Change& c) { return auth::make_pull_token(c, job_id, epoch, artifact, "http://here"); });
        REQUIRE(made);
        CHECK(made->repository == "shop/web");
        token = made->password;
    }
    Result<auth::PullSession> redeem(const std::string& what) {
        return run(auth::redeem_pull_token(core, what, "192.0.2.1"));
    }
    std::int64_t audited(const std::string& action) {
        return count("SELECT COUNT(*) FROM audit WHERE action='" + action + "'");
    }
    void end_job() {
        REQUIRE(change([&](Change& c) {
            return jobs::complete(c, job_id, {agent.id, epoch},
                                  {.outcome = protocol::Outcome::failed, .error = "x"});
        }));
    }
};

Result<oci::Grant> authorise(CoreFixture& f, const std::string& token) {
    return f.run(auth::authorise_registry(f.core, "Bearer " + token));
}
constexpr std::chrono::seconds kMinute{60};
} // namespace

TEST_CASE("Basic credentials are a name and a password", "[registry_auth]") {
    struct Row {
        std::string header;
        std::optional<std::pair<std::string, std::string>> want;
    };
    const auto row = GENERATE(values<Row>({
        {"Basic b3duZXI6Y3N0X3g=", std::pair<std::string, std::string>{"owner", "cst_x"}},
        {"Basic OnB3", std::pair<std::string, std::string>{"", "pw"}},
        {"Basic YTpiOmM=", std::pair<std::string, std::string>{"a", "b:c"}},
        {"Basic bm9jb2xvbg==", std::nullopt},
        {"Basic !!!", std::nullopt},
        {"Bearer x", std::nullopt},
        {"", std::nullopt},
    }));
    CAPTURE(row.header);
    CHECK(auth::basic_credentials(row.header) == row.want);
}

TEST_CASE("what a caller may do with artifacts depends on its role", "[registry_auth]") {
    CoreFixture f;
    using Actions = std::set<Action>;
    const auto may = [](const Caller& caller) {
        const auto grant = auth::grant_of(caller);
        Actions actions;
        for (const auto& scope : grant.scopes) {
            CHECK(scope.repository == "*");
            CHECK_FALSE(scope.only);
            actions.insert(scope.actions.begin(), scope.actions.end());
        }
        return actions;
    };
    const auto user = [](protocol::Role role) {
        Caller caller;
        caller.user = UserEntry{.role = role};
        return caller;
    };
    CHECK(may({}).empty());
    CHECK(may(user(protocol::Role::viewer)) == Actions{Action::pull});
    CHECK(may(user(protocol::Role::ci)) == Actions{Action::pull, Action::push});
    CHECK(may(user(protocol::Role::operator_)) == Actions{Action::pull, Action::push, Action::delete_});
    CHECK(may(user(protocol::Role::owner)) == Actions{Action::pull, Action::push, Action::delete_});
    Caller agent;
    agent.agent = f.core.directory.agent(f.add_agent().id);
    CHECK(may(agent) == Actions{Action::pull, Action::push});
    agent.agent = f.core.directory.agent(f.add_agent("acme").id);
    CHECK(may(agent).empty()); // it pulls with the one-time token of its job
}

TEST_CASE("a pull token works once; every other use is refused, audited and told", "[registry_auth]") {
    Puller f;
    const auto session = f.redeem(f.token);
    REQUIRE(session);
    CHECK(session->artifact.repository == "shop/web");
    CHECK(session->artifact.digest == f.artifact.digest);
    CHECK(f.audited("pull_token.redeemed") == 1);

    const auto again = f.redeem(f.token);
    REQUIRE_FALSE(again);
    CHECK(again.error().code == Code::unauthenticated);
    CHECK(again.error().message.find("used already") != std::string::npos);
    CHECK(f.audited("pull_token.refused") == 1);
    CHECK(f.count("SELECT COUNT(*) FROM events WHERE kind='pull_token.refused'") == 1);
    CHECK(f.audited("pull_token.redeemed") == 1);
    CHECK(*f.run(auth::pull_session_live(f.core, session->id))); // the first session goes on
    CHECK_FALSE(f.redeem("cpt_unknown"));
}

TEST_CASE("a pull token that has expired, or whose job has ended, is refused", "[registry_auth]") {
    Puller f;
    std::string because;
    SECTION("expired") {
        REQUIRE(f.change([](Change& c) {
            return c.tx.execute("UPDATE pull_tokens SET expires_at=$1", {c.now - std::chrono::seconds(1)});
        }));
        because = "expired";
    }
    SECTION("the job has ended") {
        f.end_job();
        because = "has ended";
    }
    SECTION("the job is another attempt now") {
        REQUIRE(f.change([&](Change& c) -> Result<void> {
            CONSIGN_TRY(job, jobs::get(c.tx, f.job_id));
            CONSIGN_CHECK(jobs::lose(c, job, jobs::Loss::expired, "gone"));
            CONSIGN_CHECK(jobs::claim(c, claimant(f.agent.id, SessionId::make(c.now), Pool{f.agent.install}),
                                      1, std::chrono::seconds(45)));
            return {};
        }));
        REQUIRE(f.job(f.job_id).epoch == f.epoch + 1);
        because = "has ended";
    }
    const auto refused = f.redeem(f.token);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find(because) != std::string::npos);
    CHECK(f.audited("pull_token.refused") == 1);
    CHECK(f.count("SELECT COUNT(*) FROM pull_tokens WHERE redeemed_at IS NOT NULL") == 0);
}

TEST_CASE("a registry token carries its grant, and dies with its holder", "[registry_auth]") {
    CoreFixture f;
    const auto user = f.add_user(protocol::Role::ci);
    const auto agent = f.add_agent();
    const oci::Grant grant{{{"shop/web", {Action::pull, Action::push}, {}},
                            {"shop/db", {Action::pull}, Digest::sha256_of("db")}}};
    const auto of_user = auth::sign_registry_token(f.core, grant, {.user = user.id}, kMinute);
    const auto of_agent = auth::sign_registry_token(f.core, grant, {.agent = agent.id}, kMinute);
    for (const auto& token : {of_user, of_agent}) {
        const auto back = authorise(f, token);
        REQUIRE(back);
        REQUIRE(back->scopes.size() == 2);
        CHECK(back->scopes[0].repository == "shop/web");
        CHECK(back->scopes[0].actions == std::set<Action>{Action::pull, Action::push});
        CHECK_FALSE(back->scopes[0].only);
        CHECK(back->scopes[1].only == Digest::sha256_of("db"));
    }
    f.revoke(user.id);
    CHECK(authorise(f, of_user).error().code == Code::unauthenticated);
    CHECK(authorise(f, of_agent));
    f.revoke(agent.id);
    CHECK(authorise(f, of_agent).error().code == Code::unauthenticated);
}

TEST_CASE("the session of a pull token dies with the job", "[registry_auth]") {
    Puller f;
    const auto session = f.redeem(f.token);
    REQUIRE(session);
    const auto token = auth::sign_registry_token(f.core, {{{"shop/web", {Action::pull}, f.artifact.digest}}},
                                                 {.pull = session->id}, kMinute);
    REQUIRE(authorise(f, token));
    f.end_job();
    const auto after = authorise(f, token);
    REQUIRE_FALSE(after);
    CHECK(after.error().message.find("ended") != std::string::npos);
}

TEST_CASE("tokens of other places open nothing in the registry", "[registry_auth]") {
    CoreFixture f;
    const auto user = f.add_user(protocol::Role::owner);
    const auto now = to_millis(f.core.clock.now()) / 1000;
    const auto signed_with = [&](const PrivateKey& key, const char* audience, std::int64_t exp) {
        return jwt::sign({{"aud", audience}, {"exp", exp}, {"access", json::Value::array()}}, key);
    };
    CHECK(authorise(f, signed_with(f.core.vendor.token_key, "registry", now + 60)));
    for (const auto& bad : {*user.token, std::string("a.b.c"), std::string(),
                            signed_with(f.core.vendor.token_key, "consign", now + 60),
                            signed_with(f.core.vendor.token_key, "registry", now - 600),
                            signed_with(PrivateKey::generate(), "registry", now + 60)}) {
        const auto refused = authorise(f, bad);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Code::unauthenticated);
    }
    CHECK_FALSE(f.run(auth::authorise_registry(f.core, "Basic b3duZXI6eA==")));
    CHECK_FALSE(f.run(auth::authorise_registry(f.core, "")));
}
