#include "agent/identity.hpp"
#include "unit/agent/fake_ims.hpp"
#include <catch2/catch.hpp>
#include <sys/stat.h>

using namespace consign;
using namespace consign::agent;

namespace {

Identity acme() {
    return {.agent = AgentId::make(from_millis(1)),
            .ims_url = "https://ims.example",
            .ims = "ims_1",
            .vendor_public_key = "PEM",
            .install = InstallId::make(from_millis(2)),
            .install_name = "acme"};
}

} // namespace

TEST_CASE("an identity is kept for its owner alone, and found again", "[agent]") {
    const auto data = TemporaryDirectory::make("identity").value();
    const auto none = load_identity(data.path());
    REQUIRE(none);
    CHECK_FALSE(*none); // never enrolled

    const auto saved = acme();
    REQUIRE(save_identity(data.path(), saved));
    struct stat status {};
    REQUIRE(::stat((data.path() / "agent.json").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    const auto found = load_identity(data.path());
    REQUIRE(found);
    REQUIRE(*found);
    CHECK(json::encode(**found) == json::encode(saved));
}

TEST_CASE("a damaged identity is said to be one, with what to do", "[agent]") {
    const auto data = TemporaryDirectory::make("identity").value();
    const auto text = GENERATE(as<std::string>{}, "", "{", "{}", "[1]", R"({"agent":"nobody"})");
    REQUIRE(write_file_atomic(data.path() / "agent.json", std::string_view(text)));
    const auto found = load_identity(data.path());
    REQUIRE_FALSE(found);
    CHECK(found.error().code == Code::corrupt);
    CHECK(found.error().message.contains("agent.json is damaged"));
    CHECK(found.error().hint.contains("enrol again"));
}

TEST_CASE("the URL of an IMS is taken as people write it", "[agent]") {
    struct Row {
        const char *text, *want; ///< an empty `want`: refused
    };
    const auto row = GENERATE(values<Row>({{"https://ims.example", "https://ims.example"},
                                           {"https://ims.example/", "https://ims.example"},
                                           {"https://ims.example:443//", "https://ims.example"},
                                           {"http://127.0.0.1:8400/?x=1", "http://127.0.0.1:8400"},
                                           {"https://host/consign/", "https://host/consign"},
                                           {"ims.example", ""},
                                           {"ftp://ims.example", ""},
                                           {"", ""}}));
    CAPTURE(row.text);
    const auto url = parse_ims_url(row.text);
    if (url) CHECK(url->str() == row.want);
    if (std::string_view(row.want).empty()) {
        REQUIRE_FALSE(url);
        CHECK(url.error().message.starts_with("the URL of the IMS: "));
        CHECK_FALSE(url.error().hint.empty());
    }
}

TEST_CASE("enrolling trades the token for an identity, or says what is wrong and what to do", "[agent]") {
    test::FakeIms ims;
    net::IoThread io;
    net::Client http(io.executor());
    const auto key = PrivateKey::generate();
    const auto trade = [&](protocol::AgentKind kind, std::string token = "enroll-me") {
        protocol::EnrollRequest request{.token = std::move(token),
                                        .public_key = key.public_key().to_pem(),
                                        .kind = kind,
                                        .version = "1",
                                        .hostname = "here"};
        return io.run(enroll(http, parse_ims_url(ims.url()).value(), std::move(request)));
    };
    using enum protocol::AgentKind;

    SECTION("the identity is the IMS's answer") {
        const auto identity = trade(install);
        REQUIRE(identity);
        CHECK(identity->agent == ims.agent);
        CHECK(identity->ims_url == ims.url());
        CHECK(identity->install_name == "acme");
        const auto used = trade(install);
        REQUIRE_FALSE(used);
        CHECK(used.error().message.starts_with("enrolment refused: "));
    }
    SECTION("a bad token: who makes a new one depends on the kind") {
        CHECK(trade(build, "guess").error().hint.contains("consign agent enroll"));
        CHECK(trade(install, "guess").error().hint.contains("consign install enroll NAME"));
    }
    SECTION("the IMS's own hint is better than ours") {
        ims.fault("/enroll", net::problem({Code::unauthenticated, "it expired", "ask for another"}));
        CHECK(trade(build).error().hint == "ask for another");
    }
    SECTION("an outage is not the token's fault") {
        ims.fault("/enroll", net::problem({Code::unavailable, "starting"}));
        const auto failed = trade(build);
        CHECK(failed.error().code == Code::unavailable);
        CHECK(failed.error().hint.empty());
    }
}
