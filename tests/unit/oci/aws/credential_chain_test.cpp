// The chain against one small server that plays container endpoint, instance metadata and STS.
#include "consign/base/file.hpp"
#include "consign/net/server.hpp"
#include "oci/aws/credential_chain.hpp"
#include <catch2/catch.hpp>
#include <mutex>

using namespace consign;
using namespace consign::oci::aws;

namespace {

std::string json_keys(std::string_view key, Time until) {
    return R"({"Code":"Success","AccessKeyId":")" + std::string(key) +
           R"(","SecretAccessKey":"s","Token":"t","Expiration":")" + to_rfc3339(until) + "\"}";
}
std::string sts_answer(std::string_view key, Time until) {
    return "<R><X><Credentials><AccessKeyId>" + std::string(key) +
           "</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>" +
           to_rfc3339(until) + "</Expiration></Credentials></X></R>";
}

struct Seen {
    std::string line, body;
    net::Headers headers;
};

struct Cloud {
    ManualClock clock;
    TemporaryDirectory home = std::move(*TemporaryDirectory::make("aws-home"));
    net::IoThread io;
    std::mutex mutex;
    std::map<std::string, std::pair<int, std::string>> answers; // by "VERB path"
    std::vector<Seen> seen;
    std::unique_ptr<net::Server> server;
    std::unique_ptr<net::Client> client;
    std::unique_ptr<CredentialChain> chain;
    Environment environment;

    Cloud() {
        server = std::move(
            net::Server::bind({}, [this](net::Request& request) { return answer(this, request); }).value());
        server->start();
        environment = {{"HOME", home.path().string()},
                       {"AWS_REGION", "eu-central-1"},
                       {"AWS_ENDPOINT_URL_STS", base() + "/sts"},
                       {"AWS_EC2_METADATA_DISABLED", "true"},
                       {"PATH", "/usr/bin:/bin"}};
    }
    ~Cloud() {
        (void)io.run(drop(this));
        server->drain(std::chrono::seconds(1));
    }
    std::string base() const { return "http://127.0.0.1:" + std::to_string(server->port()); }
    Time in(std::chrono::minutes some) const { return clock.now() + some; }
    void on(const std::string& what, std::string body, int status = 200) {
        const std::scoped_lock lock(mutex);
        answers[what] = {status, std::move(body)};
    }
    std::size_t count(std::string_view line) {
        const std::scoped_lock lock(mutex);
        return static_cast<std::size_t>(
            std::ranges::count_if(seen, [&](const Seen& one) { return one.line == line; }));
    }
    void write(const std::string& name, std::string_view text) {
        const auto path = home.path() / name;
        REQUIRE(make_directories(path.parent_path()));
        REQUIRE(write_file_atomic(path, text));
    }
    Result<Credentials> get() {
        if (!chain) REQUIRE(io.run(make(this)));
        return io.run(chain->get());
    }
    std::string key() {
        const auto got = get();
        return got ? got->access_key_id : to_string(got.error());
    }

    static net::Async<Result<void>> make(Cloud* cloud) {
        cloud->client = std::make_unique<net::Client>(cloud->io.executor());
        cloud->chain = std::make_unique<CredentialChain>(*cloud->client, cloud->io.blocking(), cloud->clock,
                                                         cloud->environment);
        co_return Result<void>{};
    }
    static net::Async<Result<void>> drop(Cloud* cloud) {
        cloud->chain.reset();
        cloud->client.reset();
        co_return Result<void>{};
    }
    static net::Async<net::Response> answer(Cloud* cloud, net::Request& request) {
        auto body = co_await net::read_all(*request.body, 1 << 20);
        const std::scoped_lock lock(cloud->mutex);
        const auto line = std::string(net::name_of(request.verb)) + " " + request.path;
        cloud->seen.push_back({line, body.value_or(""), request.headers});
        const auto found = cloud->answers.find(line);
        if (found == cloud->answers.end()) co_return net::Response::text(404, "nothing here");
        co_return net::Response::text(found->second.first, found->second.second);
    }
};

} // namespace

TEST_CASE("credential chain: the environment comes first, and half of it is an error") {
    Cloud cloud;
    cloud.environment["AWS_ACCESS_KEY_ID"] = "AKIA1";
    SECTION("both") {
        cloud.environment["AWS_SECRET_ACCESS_KEY"] = "s";
        cloud.environment["AWS_SESSION_TOKEN"] = "t";
        cloud.write(".aws/credentials", "[default]\naws_access_key_id = OTHER\naws_secret_access_key = s\n");
        CHECK(cloud.key() == "AKIA1");
        CHECK(cloud.get()->session_token.reveal() == "t");
    }
    SECTION("half") { CHECK(cloud.get().error().message.contains("AWS_SECRET_ACCESS_KEY")); }
}

TEST_CASE("credential chain: nothing anywhere says what every source said") {
    Cloud cloud;
    const auto none = cloud.get();
    REQUIRE_FALSE(none);
    CHECK(none.error().code == Code::unauthenticated);
    for (const char* part :
         {"environment: AWS_ACCESS_KEY_ID", "web identity: AWS_WEB_IDENTITY_TOKEN_FILE",
          "shared files: there is no profile 'default'", "container endpoint: AWS_CONTAINER",
          "instance metadata: AWS_EC2_METADATA_DISABLED"}) {
        CAPTURE(part, none.error().message);
        CHECK(none.error().message.contains(part));
    }
}

TEST_CASE("credential chain: a web identity is exchanged unsigned, and read anew when it is renewed") {
    Cloud cloud;
    cloud.write("token", "jwt-1\n");
    cloud.environment["AWS_WEB_IDENTITY_TOKEN_FILE"] = (cloud.home.path() / "token").string();
    cloud.environment["AWS_ROLE_ARN"] = "arn:aws:iam::123456789012:role/pods";
    cloud.on("POST /sts", sts_answer("ASIA1", cloud.in(std::chrono::minutes(60))));
    CHECK(cloud.key() == "ASIA1");
    CHECK(cloud.seen.back().body.contains("Action=AssumeRoleWithWebIdentity"));
    CHECK(cloud.seen.back().body.contains("WebIdentityToken=jwt-1"));
    CHECK(cloud.seen.back().body.contains("RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fpods"));
    CHECK_FALSE(cloud.seen.back().headers.has("Authorization"));

    SECTION("kept until some minutes before its end") {
        cloud.clock.advance(std::chrono::minutes(54));
        CHECK(cloud.key() == "ASIA1");
        CHECK(cloud.count("POST /sts") == 1);
        cloud.write("token", "jwt-2\n");
        cloud.on("POST /sts", sts_answer("ASIA2", cloud.in(std::chrono::minutes(60))));
        cloud.clock.advance(std::chrono::minutes(2));
        CHECK(cloud.key() == "ASIA2");
        CHECK(cloud.seen.back().body.contains("WebIdentityToken=jwt-2"));
    }
    SECTION("what cannot be renewed is good until it ends") {
        cloud.on(
            "POST /sts",
            "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>",
            403);
        cloud.clock.advance(std::chrono::minutes(57));
        CHECK(cloud.key() == "ASIA1");
        cloud.clock.advance(std::chrono::minutes(4));
        const auto ended = cloud.get();
        REQUIRE_FALSE(ended);
        CHECK(ended.error().code == Code::permission_denied);
        CHECK(ended.error().message.contains("AccessDenied: no"));
    }
}

TEST_CASE("credential chain: a source that is configured and fails is not passed over") {
    Cloud cloud;
    cloud.environment["AWS_WEB_IDENTITY_TOKEN_FILE"] = "/nonexistent/token";
    cloud.environment["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/x";
    cloud.write(".aws/credentials", "[default]\naws_access_key_id = A\naws_secret_access_key = s\n");
    const auto failed = cloud.get();
    REQUIRE_FALSE(failed);
    CHECK(failed.error().message.contains("web identity"));
    CHECK(failed.error().message.contains("/nonexistent/token"));
}

TEST_CASE("credential chain: profiles") {
    Cloud cloud;
    cloud.write(".aws/credentials", "[default]\naws_access_key_id = BASE\naws_secret_access_key = s\n");
    SECTION("keys of the default profile") { CHECK(cloud.key() == "BASE"); }
    SECTION("AWS_PROFILE must exist") {
        cloud.environment["AWS_PROFILE"] = "other";
        CHECK(cloud.get().error().message.contains("there is no profile 'other'"));
    }
    SECTION("a role with a source profile, other files") {
        cloud.write("elsewhere/config",
                    "[profile deploy]\nrole_arn = arn:aws:iam::1:role/deploy\nsource_profile = default\n"
                    "external_id = e1\nrole_session_name = me@x\n");
        cloud.environment["AWS_CONFIG_FILE"] = (cloud.home.path() / "elsewhere/config").string();
        cloud.environment["AWS_PROFILE"] = "deploy";
        cloud.on("POST /sts", sts_answer("ROLE", cloud.in(std::chrono::minutes(60))));
        CHECK(cloud.key() == "ROLE");
        CHECK(cloud.seen.back().body.contains("RoleSessionName=me%40x&"));
        CHECK(cloud.seen.back().body.contains("ExternalId=e1"));
        CHECK(cloud.seen.back()
                  .headers.get("Authorization")
                  .contains("Credential=BASE/20231114/eu-central-1/sts/"));
    }
    SECTION("a circle of roles ends") {
        cloud.write(".aws/config",
                    "[profile a]\nrole_arn=r\nsource_profile=b\n[profile b]\nrole_arn=r\nsource_profile=a\n");
        cloud.environment["AWS_PROFILE"] = "a";
        CHECK(cloud.get().error().message.contains("circle"));
    }
    SECTION("credential_process") {
        cloud.write(
            ".aws/config",
            "[profile p]\ncredential_process = printf '%s' "
            "'{\"Version\":1,\"AccessKeyId\":\"PROC\",\"SecretAccessKey\":\"s\"}'; echo warned >&2\n");
        cloud.environment["AWS_PROFILE"] = "p";
        CHECK(cloud.key() == "PROC");
    }
    SECTION("credential_process that fails") {
        cloud.write(".aws/config", "[profile p]\ncredential_process = exit 3\n");
        cloud.environment["AWS_PROFILE"] = "p";
        CHECK(cloud.get().error().message.contains("exit code 3"));
    }
    SECTION("what needs a person is refused with the way out") {
        cloud.write(".aws/config",
                    "[profile s]\nsso_session = x\n[profile m]\nrole_arn = r\nmfa_serial = x\n");
        cloud.environment["AWS_PROFILE"] = "s";
        CHECK(cloud.get().error().hint.contains("export-credentials"));
    }
    SECTION("a default profile with a region only is passed over") {
        cloud.write(".aws/credentials", "[default]\nregion = x\n");
        CHECK(cloud.get().error().message.contains("the profile 'default' has no credentials"));
    }
}

TEST_CASE("credential chain: the container endpoint gets its token, from the file first") {
    Cloud cloud;
    cloud.environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = cloud.base() + "/v1/credentials";
    cloud.environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "from-the-environment";
    cloud.on("GET /v1/credentials", json_keys("POD", cloud.in(std::chrono::minutes(60))));
    SECTION("environment") {
        CHECK(cloud.key() == "POD");
        CHECK(cloud.seen.back().headers.get("Authorization") == "from-the-environment");
    }
    SECTION("file") {
        cloud.write("pod-token", "from-the-file\n");
        cloud.environment["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] =
            (cloud.home.path() / "pod-token").string();
        CHECK(cloud.key() == "POD");
        CHECK(cloud.seen.back().headers.get("Authorization") == "from-the-file");
    }
    SECTION("a token with a line's end would be another header") {
        cloud.environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "a\r\nX: y";
        CHECK_FALSE(cloud.get());
        CHECK(cloud.seen.empty());
    }
}

TEST_CASE("credential chain: instance metadata, version 2 only") {
    Cloud cloud;
    cloud.environment.erase("AWS_EC2_METADATA_DISABLED");
    cloud.environment.erase("AWS_REGION");
    cloud.environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = cloud.base();
    const std::string roles = "/latest/meta-data/iam/security-credentials/";
    cloud.on("GET " + roles, "builder\n");
    cloud.on("GET " + roles + "builder", json_keys("INST", cloud.in(std::chrono::minutes(60))));
    cloud.on("GET /latest/meta-data/placement/region", "eu-north-1");
    SECTION("with a token") {
        cloud.on("PUT /latest/api/token", "session-token");
        CHECK(cloud.key() == "INST");
        CHECK(cloud.seen.front().headers.get("X-aws-ec2-metadata-token-ttl-seconds") == "21600");
        CHECK(cloud.seen.back().headers.get("X-aws-ec2-metadata-token") == "session-token");
        CHECK(cloud.io.run(cloud.chain->region()).value() == "eu-north-1");
    }
    SECTION("without one nothing is asked") {
        CHECK(cloud.get().error().message.contains("gives no token, it answered 404"));
        CHECK(cloud.seen.size() == 1);
    }
    SECTION("no role") {
        cloud.on("PUT /latest/api/token", "session-token");
        cloud.on("GET " + roles, "", 404);
        CHECK(cloud.get().error().message.contains("the instance has no role"));
    }
}

TEST_CASE("credential chain: many ask, one fetch") {
    Cloud cloud;
    cloud.environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = cloud.base() + "/c";
    cloud.on("GET /c", json_keys("POD", cloud.in(std::chrono::minutes(60))));
    REQUIRE(cloud.io.run(Cloud::make(&cloud)));
    std::vector<std::thread> askers;
    std::atomic<int> good = 0;
    for (int i = 0; i < 8; ++i)
        askers.emplace_back([&] { good += cloud.io.run(cloud.chain->get()).has_value(); });
    for (auto& asker : askers) asker.join();
    CHECK(good == 8);
    CHECK(cloud.count("GET /c") == 1);
}
