#include "bundle.hpp"
#include "consign/install/install.hpp"

using namespace consign;
using namespace consign::install;
using namespace consign::install::test;

namespace {

class FakeAgent final : public agent::Agent {
  public:
    const agent::Identity& identity() const override { return identity_; }
    net::IoThread& io() override { return network_.io; }
    net::Client& http() override { return *network_.http; }
    Result<void> run(const agent::JobHandlers&, std::stop_token) override { return {}; }

  private:
    agent::Identity identity_;
    Network network_;
};

net::Async<Result<int>> status_of(net::Client& http, std::string url, net::Verb verb) {
    net::ClientRequest request;
    request.verb = verb;
    CONSIGN_CO_TRY(parsed, net::Url::parse(url));
    request.url = parsed;
    CONSIGN_CO_TRY(response, co_await http.send(std::move(request)));
    co_return response.status;
}

} // namespace

TEST_CASE("the install's registry may be read by anybody and written by nobody") {
    FakeAgent agent;
    const auto directory = scratch();
    auto site = InstallSite::open({.data = directory.path(), .registry_listen = "127.0.0.1:0"}, agent);
    REQUIRE(site);
    const auto base = "http://127.0.0.1:" + std::to_string((*site)->registry_port());
    const auto ask = [&](const std::string& path, net::Verb verb = net::Verb::get) {
        return agent.io().run(status_of(agent.http(), base + path, verb)).value();
    };
    CHECK(ask("/v2/") == 200);
    CHECK(ask("/v2/shop/web/manifests/1.0") == 404);
    CHECK(ask("/v2/shop/web/blobs/uploads/", net::Verb::post) == 405);
    CHECK(ask("/") == 404);
    CHECK(ask("/v2x") == 404);

    const auto handlers = (*site)->job_handlers();
    CHECK(handlers.contains(protocol::JobKind::apply));
    CHECK(handlers.contains(protocol::JobKind::teardown));
    CHECK_FALSE(handlers.contains(protocol::JobKind::build));

    const auto other = scratch();
    const auto taken = InstallSite::open(
        {.data = other.path(), .registry_listen = "127.0.0.1:" + std::to_string((*site)->registry_port())},
        agent);
    REQUIRE_FALSE(taken);
    CHECK(taken.error().code == Code::conflict);
    CHECK(taken.error().message.contains(std::to_string((*site)->registry_port())));
    CHECK(taken.error().hint.contains("--registry-listen"));
}

TEST_CASE("an address to listen on that is none is refused") {
    FakeAgent agent;
    const auto directory = scratch();
    const auto site = InstallSite::open({.data = directory.path(), .registry_listen = "8500"}, agent);
    REQUIRE_FALSE(site);
    CHECK(site.error().code == Code::invalid_argument);
}
