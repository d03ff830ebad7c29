// An account at ECR against one small server that plays container endpoint, STS and ECR. Signatures are not
// looked at here: tests/interop/ecr_test.py has them checked by AWS's own SDK.
#include "consign/base/json.hpp"
#include "consign/net/server.hpp"
#include "consign/oci/registry_account.hpp"
#include "oci/aws/ecr_account.hpp"
#include <catch2/catch.hpp>
#include <mutex>

using namespace consign;
using namespace consign::oci;

namespace {

struct Region {
    net::IoThread io;
    std::mutex mutex;
    std::vector<std::string> seen; // operations, in order
    std::string last_form;         // of STS
    std::set<std::string> repositories;
    bool somebody_is_faster = false;
    Time session_ends = SystemClock().now() + std::chrono::minutes(20);
    std::unique_ptr<net::Server> server;
    std::unique_ptr<RegistryAccount> account;

    explicit Region(std::string pull_role = {}) {
        server = std::move(
            net::Server::bind({}, [this](net::Request& request) { return answer(this, request); }).value());
        server->start();
        const auto base = "http://127.0.0.1:" + std::to_string(server->port());
        AccountOptions options{
            .registry = "ecr+https://registry.example/team",
            .pull_role_arn = std::move(pull_role),
            .environment = {{"AWS_REGION", "eu-central-1"},
                            {"AWS_ENDPOINT_URL", base},
                            {"AWS_EC2_METADATA_DISABLED", "true"},
                            {"AWS_CONTAINER_CREDENTIALS_FULL_URI", base + "/credentials"}}};
        account = io.run(open(io.executor(), &io.blocking(), std::move(options))).value();
    }
    ~Region() {
        (void)io.run(drop(&account));
        server->drain(std::chrono::seconds(1));
    }
    std::size_t count(std::string_view operation) {
        const std::scoped_lock lock(mutex);
        return static_cast<std::size_t>(std::ranges::count(seen, operation));
    }

    static net::Async<Result<std::unique_ptr<RegistryAccount>>>
    open(net::Executor executor, net::BlockingPool* pool, AccountOptions options) {
        co_return RegistryAccount::open(executor, *pool, std::move(options));
    }
    static net::Async<Result<void>> drop(std::unique_ptr<RegistryAccount>* account) {
        account->reset();
        co_return Result<void>{};
    }
    static net::Response described(const char* key, const std::string& name) {
        json::Value one{{"repositoryName", name},
                        {"repositoryArn", "arn:aws:ecr:eu-central-1:1:repository/" + name}};
        if (std::string_view(key) == "repositories") one = json::Value::array({std::move(one)});
        return net::Response::json(200, json::dump({{key, std::move(one)}}));
    }
    static net::Response refused(const char* type) {
        return net::Response::json(400, json::dump({{"__type", type}}));
    }

    static net::Async<net::Response> answer(Region* region, net::Request& request) {
        const auto body = (co_await net::read_all(*request.body, 1 << 20)).value_or("");
        const std::scoped_lock lock(region->mutex);
        if (request.path == "/credentials")
            co_return net::Response::json(200,
                                          json::dump({{"AccessKeyId", "A"},
                                                      {"SecretAccessKey", "s"},
                                                      {"Token", "t"},
                                                      {"Expiration", to_rfc3339(region->session_ends)}}));
        auto operation = std::string(request.headers.get("X-Amz-Target"));
        operation.erase(0, operation.find('.') + 1);
        if (operation.empty()) {
            region->seen.emplace_back("AssumeRole");
            region->last_form = body;
            co_return net::Response::text(
                200,
                "<R><X><Credentials><AccessKeyId>SESSION</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
                "<SessionToken>t</SessionToken><Expiration>" +
                    to_rfc3339(SystemClock().now() + std::chrono::minutes(15)) +
                    "</Expiration></Credentials></X></R>");
        }
        region->seen.push_back(operation);
        const auto asked = json::parse(body).value();
        if (operation == "GetAuthorizationToken") {
            const bool session = request.headers.get("Authorization").contains("Credential=SESSION/");
            co_return net::Response::json(
                200,
                json::dump({{"authorizationData",
                             json::Value::array({{{"authorizationToken",
                                                   to_base64(as_bytes(session ? std::string("AWS:pull")
                                                                              : std::string("AWS:own")))},
                                                  {"expiresAt", 4102444800.5}}})}}));
        }
        if (operation == "DescribeRepositories") {
            const auto name = asked.at("repositoryNames").at(0).get<std::string>();
            co_return region->repositories.contains(name) ? described("repositories", name)
                                                          : refused("RepositoryNotFoundException");
        }
        const auto name = asked.at("repositoryName").get<std::string>();
        const bool fresh = region->repositories.insert(name).second;
        co_return fresh && !region->somebody_is_faster ? described("repository", name)
                                                       : refused("RepositoryAlreadyExistsException");
    }
};

} // namespace

TEST_CASE("ecr account: one login is kept, and does not outlive the credentials it was made with") {
    Region region;
    for (int i = 0; i < 3; ++i) {
        const auto login = region.io.run(region.account->login("team/a"));
        REQUIRE(login);
        CHECK(login->username == "AWS");
        CHECK(login->password.reveal() == "own");
        CHECK(to_millis(*login->expires_at) == to_millis(region.session_ends));
    }
    CHECK(region.count("GetAuthorizationToken") == 1);
}

TEST_CASE("ecr account: a repository is made once, found when it is there, and looked for again when asked") {
    Region region;
    CHECK(region.account->name_of("shop/web") == "team/shop/web");
    CHECK(region.account->describe() == "https://registry.example/team");
    for (int i = 0; i < 2; ++i) REQUIRE(region.io.run(region.account->prepare("team/shop/web")));
    CHECK(region.seen == std::vector<std::string>{"DescribeRepositories", "CreateRepository"});
    region.repositories.clear();
    REQUIRE(region.io.run(region.account->prepare("team/shop/web")));
    CHECK(region.seen.size() == 2);
    REQUIRE(region.io.run(region.account->prepare("team/shop/web", true)));
    CHECK(region.count("CreateRepository") == 2);
    region.somebody_is_faster = true;
    CHECK(region.io.run(region.account->prepare("team/shop/other")));
}

TEST_CASE("ecr account: a pull login is a session for the one repository") {
    Region region("arn:aws:iam::1:role/pull");
    REQUIRE(region.account->has_pull_logins());
    CHECK(region.io.run(region.account->pull_login("team/none", "job_1")).error().code == Code::not_found);
    region.repositories.insert("team/shop/web");
    const auto login = region.io.run(region.account->pull_login("team/shop/web", "job_1"));
    REQUIRE(login);
    CHECK(login->password.reveal() == "pull");
    CHECK(*login->expires_at <= SystemClock().now() + std::chrono::minutes(15));
    const auto form = net::Query::parse(region.last_form);
    CHECK(form.get("DurationSeconds") == "900");
    CHECK(form.get("RoleSessionName") == "consign-job_1");
    const auto policy = json::parse(form.get_or("Policy", "")).value();
    CHECK(policy.at("Statement").at(1).at("Resource") ==
          "arn:aws:ecr:eu-central-1:1:repository/team/shop/web");
    CHECK(policy.at("Statement").at(1).at("Action").size() == 3);
}

TEST_CASE("ecr account: without a role, and at other registries, there are no pull logins") {
    Region region;
    CHECK_FALSE(region.account->has_pull_logins());
    CHECK(region.io.run(region.account->pull_login("team/a", "x")).error().code == Code::unsupported);
}

TEST_CASE("ecr account: a registry's URL, and what is wrong with it") {
    net::IoThread io;
    const auto open = [&](std::string registry, std::string role = {}) {
        auto opened =
            io.run(Region::open(io.executor(), &io.blocking(),
                                {.registry = std::move(registry), .pull_role_arn = std::move(role)}));
        std::string out = opened ? (*opened)->describe() : opened.error().message;
        if (opened) (void)io.run(Region::drop(&*opened));
        return out;
    };
    CHECK(open("https://registry.example") == "https://registry.example");
    CHECK(open("https://registry.example:5000/a/b/") == "https://registry.example:5000/a/b");
    CHECK(open("123456789012.dkr.ecr.eu-west-1.amazonaws.com/x") ==
          "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/x");
    CHECK(open("registry.example").contains("is not the URL of a registry"));
    CHECK(open("https://registry.example/UPPER").contains("cannot be the beginning"));
    CHECK(open("https://registry.example", "arn:x").contains("is not known to be one"));
}
