#include "consign/net/server.hpp"
#include "consign/protocol/client.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::protocol;

namespace {

/// Answers what the test says, and keeps what it was asked.
struct Fixture {
    struct Asked {
        net::Verb verb;
        std::string path, body;
        net::Headers headers;
    };
    std::vector<Asked> asked; ///< on the server's thread; read when nothing is under way
    net::Response next = net::Response::json(200, "{}");
    std::unique_ptr<net::Server> server;
    net::IoThread io;
    std::unique_ptr<net::Client> http;

    Fixture() {
        server =
            net::Server::bind({}, [this](net::Request& request) { return handle(this, request); }).value();
        server->start();
        http = std::make_unique<net::Client>(io.executor());
    }
    ~Fixture() { server->drain(std::chrono::seconds(1)); }

    static net::Async<net::Response> handle(Fixture* self, net::Request& request) {
        auto body = co_await net::read_all(*request.body, 1u << 20);
        self->asked.push_back({request.verb, request.path, body.value_or(""), request.headers});
        co_return net::Response{self->next};
    }
    static net::Async<Result<std::string>> token(Result<std::string> given) { co_return given; }
    ApiClient client(Result<std::string> given = "secret", const std::string& below = "") {
        const auto base = "http://127.0.0.1:" + std::to_string(server->port()) + below;
        return {*http, net::Url::parse(base).value(), [given] { return token(given); }};
    }
};

} // namespace

TEST_CASE_METHOD(Fixture, "a call sends its body as JSON with the token, and decodes the answer",
                 "[protocol]") {
    auto api = client();
    next = net::Response::json(200, R"({"expected_offset":7,"from":"a newer server"})");
    const auto answer = io.run(api.call<LogPosition>(net::Verb::post, "/v1/x", LogPosition{5}, {.epoch = 3}));
    REQUIRE(answer);
    CHECK(answer->expected_offset == 7);
    REQUIRE(asked.size() == 1);
    CHECK(asked[0].verb == net::Verb::post);
    CHECK(asked[0].path == "/v1/x");
    CHECK(asked[0].body == R"({"expected_offset":5})");
    CHECK(asked[0].headers.get("Content-Type") == "application/json");
    CHECK(asked[0].headers.get("Authorization") == "Bearer secret");
    CHECK(asked[0].headers.get(kLeaseHeader) == "3");
}

TEST_CASE_METHOD(Fixture, "a get has no body, and nobody's call no token", "[protocol]") {
    auto api = client(std::string());
    REQUIRE(io.run(api.get<Empty>("/v1/x")));
    CHECK(asked[0].verb == net::Verb::get);
    CHECK(asked[0].body.empty());
    CHECK_FALSE(asked[0].headers.has("Content-Type"));
    CHECK_FALSE(asked[0].headers.has("Authorization"));
    CHECK_FALSE(asked[0].headers.has(kLeaseHeader));
}

TEST_CASE_METHOD(Fixture, "an IMS may live below a path", "[protocol]") {
    auto api = client("secret", "/consign/");
    REQUIRE(io.run(api.get<Empty>("/v1/status")));
    CHECK(asked[0].path == "/consign/v1/status");
}

TEST_CASE_METHOD(Fixture, "an answer without content is an empty object, and an empty text", "[protocol]") {
    auto api = client();
    next = net::Response::empty(204);
    CHECK(io.run(api.get<Empty>("/v1/x")));
    CHECK(io.run(api.send(net::Verb::get, "/v1/x", {}, {})).value().empty());
}

TEST_CASE_METHOD(Fixture, "a refusal becomes its error, whoever it comes from", "[protocol]") {
    auto api = client();
    next = net::problem({Code::lease_lost, "the lease is gone", "stop"});
    const auto lost = io.run(api.get<Empty>("/v1/x"));
    REQUIRE_FALSE(lost);
    CHECK(lost.error().code == Code::lease_lost);
    CHECK(lost.error().message == "the lease is gone");
    CHECK(lost.error().hint == "stop");

    next = net::Response::text(502, "upstream is away");
    const auto proxy = io.run(api.get<Empty>("/v1/x"));
    REQUIRE_FALSE(proxy);
    CHECK(proxy.error().message == "HTTP 502 Bad Gateway: upstream is away");

    next = net::Response::json(200, R"({"expected_offset":"many"})");
    const auto wrong = io.run(api.get<LogPosition>("/v1/x"));
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().message.contains("expected_offset"));
}

TEST_CASE_METHOD(Fixture, "without a token nothing is sent", "[protocol]") {
    auto api = client(fail(Code::unauthenticated, "no token"));
    CHECK(io.run(api.get<Empty>("/v1/x")).error().message == "no token");
    CHECK(asked.empty());
}
