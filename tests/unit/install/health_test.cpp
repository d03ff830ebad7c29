#include "consign/net/server.hpp"
#include "install/health.hpp"
#include "install/tcp_probe.hpp"
#include "support.hpp"

using namespace consign;
using namespace consign::install;
using namespace consign::install::test;

namespace {

net::Async<net::Response> answer(const net::Request& request) {
    if (request.path == "/ok") co_return net::Response::text(200, "fine");
    if (request.path == "/moved") {
        auto moved = net::Response::empty(302);
        moved.headers.set("Location", "/broken");
        co_return moved;
    }
    co_return net::Response::text(503, "no database\nmore");
}

struct Fixture {
    TemporaryDirectory directory = scratch();
    Network network;
    FakeContext context{network.io, *network.http, directory.path(), directory.path()};
    ProbeSite site{directory.path(), minimal_environment()};

    Result<void> http(std::uint16_t port, const std::string& path) {
        model::HealthProbe probe;
        probe.http = "http://127.0.0.1:" + std::to_string(port) + path;
        return probe_once(context, probe, site);
    }
};

} // namespace

TEST_CASE("an http probe takes 2xx and 3xx, and says what else came") {
    Fixture fixture;
    auto server = net::Server::bind({}, [](net::Request& request) { return answer(request); });
    REQUIRE(server);
    (*server)->start();
    const auto port = (*server)->port();
    CHECK(fixture.http(port, "/ok"));
    CHECK(fixture.http(port, "/moved"));
    const auto sick = fixture.http(port, "/sick");
    REQUIRE_FALSE(sick);
    CHECK(sick.error().code == Code::failed);
    CHECK(sick.error().message ==
          "GET http://127.0.0.1:" + std::to_string(port) + "/sick → 503: no database");
    (*server)->drain(1s);
    server->reset();
    CHECK(fixture.http(port, "/ok").error().message.starts_with("GET http://127.0.0.1:"));
}

TEST_CASE("a tcp probe connects") {
    Fixture fixture;
    auto server = net::Server::bind({}, [](net::Request& request) { return answer(request); });
    REQUIRE(server);
    (*server)->start();
    const auto target = "127.0.0.1:" + std::to_string((*server)->port());
    model::HealthProbe probe;
    probe.tcp = target;
    CHECK(probe_once(fixture.context, probe, fixture.site));
    server->reset();
    CHECK(probe_once(fixture.context, probe, fixture.site).error().message ==
          "connect to " + target + " → Connection refused");

    CHECK(parse_host_port("[::1]:80")->host == "::1");
    CHECK(parse_host_port("db:5432")->port == 5432);
    for (const auto* bad : {"", "host", "host:", ":80", "host:99999", "::1:80", "host:8x"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_host_port(bad));
    }
}

TEST_CASE("a command probe goes by its exit code and repeats its last line") {
    Fixture fixture;
    model::HealthProbe probe;
    probe.command = {"/bin/sh", "-c", "exit 0"};
    CHECK(probe_once(fixture.context, probe, fixture.site));
    probe.command = {"/bin/sh", "-c", "echo first; echo why; exit 2"};
    CHECK(probe_once(fixture.context, probe, fixture.site).error().message ==
          "'/bin/sh' ended with exit code 2: why");
    fixture.context.stop_source.request_stop();
    CHECK(probe_once(fixture.context, probe, fixture.site).error().code == Code::cancelled);
}

TEST_CASE("a pause ends when it is told to") {
    std::stop_source stop;
    CHECK(pause(1ms, stop.get_token()));
    std::thread later([&] { stop.request_stop(); });
    CHECK_FALSE(pause(1h, stop.get_token()));
    later.join();
}
