#include "bundle.hpp"
#include "consign/oci/registry_server.hpp"
#include <algorithm>

using namespace consign;
using namespace consign::install;
using namespace consign::install::test;

namespace {

net::Async<Result<oci::Grant>> allow(const net::Request&) {
    oci::Grant grant;
    grant.scopes.push_back({.repository = "*", .actions = {oci::Action::pull}, .only = std::nullopt});
    co_return grant;
}

/// A vendor registry that asks nobody for a token.
struct Vendor {
    TemporaryDirectory directory = scratch();
    net::BlockingPool pool{2};
    std::unique_ptr<oci::Registry> registry;
    std::unique_ptr<oci::RegistryServer> registry_server;
    std::unique_ptr<net::Server> server;

    Vendor() {
        auto opened = oci::Registry::open(directory.path(), pool);
        REQUIRE(opened);
        registry = std::move(*opened);
        registry_server = std::make_unique<oci::RegistryServer>(*registry, allow);
        auto bound = net::Server::bind(
            {}, [&handler = *registry_server](net::Request& request) { return handler.handle(request); });
        REQUIRE(bound);
        server = std::move(*bound);
        server->start();
    }
    ~Vendor() { server->drain(1s); }
    protocol::PullToken token(const protocol::ArtifactRef& artifact) const {
        return {.registry = "http://127.0.0.1:" + std::to_string(server->port()),
                .repository = artifact.repository,
                .digest = artifact.digest,
                .username = "token",
                .password = "one-time-password",
                .expires_at = {}};
    }
};

} // namespace

TEST_CASE("an artifact is synced with one token, and with none when it is here") {
    Vendor vendor;
    Site site;
    const auto spec = site.publish(Bundle("1.0"), *vendor.registry);
    auto job = site.context(json::encode(spec));
    job.token = vendor.token(spec.artifact);
    const auto applied = site.apply(job);
    INFO(applied.message());
    REQUIRE_FALSE(applied.error);
    CHECK(job.tokens == 1);
    CHECK(std::ranges::find(job.secrets, "one-time-password") != job.secrets.end());
    CHECK(site.network.io.run(site.registry->tags("shop/web")).value() == std::vector<std::string>{"1.0"});

    auto again = site.context(json::encode(spec));
    CHECK_FALSE(site.apply(again).error);
    CHECK(again.tokens == 0);
    CHECK(again.text.contains("is in the install's registry already"));
}

TEST_CASE("what cannot be synced or is not what the release says changes nothing") {
    Vendor vendor;
    Site site;
    REQUIRE_FALSE(site.apply(Bundle("1.0")).error);
    const auto pid = site.pid();

    auto missing = site.publish(Bundle("1.1"));
    missing.artifact.digest = Digest::sha256_of("nothing");
    auto job = site.context(json::encode(missing));
    job.token = vendor.token(missing.artifact);
    const auto failed = site.apply(job);
    REQUIRE(failed.error);
    CHECK(failed.error->message.starts_with("cannot copy the artifact from http://127.0.0.1:"));
    CHECK(failed.result.active_release == "1.0");
    CHECK(job.last_state == protocol::StepState::failed);

    auto wrong = site.context(json::encode(missing));
    wrong.token = vendor.token({"shop/other", missing.artifact.digest});
    CHECK(site.apply(wrong).error->message.starts_with("the pull token is for shop/other@"));
    CHECK(site.pid() == pid);
}

TEST_CASE("a spec that would lead us astray is refused") {
    Site site;
    auto spec = site.publish(Bundle("1.0"));
    spec.component.name = "../../etc";
    CHECK(site.apply(spec).error->code == Code::invalid_argument);
    spec.component.name = "web";
    spec.component.type = model::ComponentType::helm_chart;
    CHECK(site.apply(spec).error->code == Code::unsupported);
    spec.component.type = model::ComponentType::bundle;
    spec.artifact.repository = "../x";
    CHECK(site.apply(spec).error->code == Code::invalid_argument);
    auto nonsense = site.context({{"release", 7}});
    CHECK(site.apply(nonsense).error->message.starts_with("the job's spec cannot be read: "));
    CHECK_FALSE(fs::exists(site.paths.home));
}

TEST_CASE("secrets are registered before anything is logged") {
    Site site;
    Bundle bundle("1.0");
    bundle.inputs["password"] = "hunter2";
    bundle.run.environment["PASSWORD"] = "{{ inputs.password }}";
    auto spec = site.publish(bundle);
    spec.sensitive = {"password"};
    auto job = site.context(json::encode(spec));
    std::optional<std::size_t> known_at_first_line;
    job.on_log = [&](std::string_view) {
        if (!known_at_first_line) known_at_first_line = job.secrets.size();
    };
    REQUIRE_FALSE(site.apply(job).error);
    CHECK(known_at_first_line == 1);
    CHECK(job.secrets == std::vector<std::string>{"hunter2"});
}

TEST_CASE("one operation at a time per component, and waiting can be cancelled") {
    ComponentLocks locks;
    auto first = std::make_unique<Result<ComponentLocks::Guard>>(locks.acquire("web", {}));
    REQUIRE(*first);
    CHECK(locks.acquire("db", {}));
    std::stop_source stop;
    std::thread canceller([&] { stop.request_stop(); });
    CHECK(locks.acquire("web", stop.get_token()).error().code == Code::cancelled);
    canceller.join();
    std::thread releaser([&] { first.reset(); });
    CHECK(locks.acquire("web", {}));
    releaser.join();
}

TEST_CASE("what a killed teardown left is swept, and a damaged component keeps no other from running") {
    Site site;
    REQUIRE_FALSE(site.apply(Bundle("1.0")).error);
    const auto pid = site.pid();
    site.stop_agent();
    put(components_directory(site.data) / ".removed-db-1234/releases/x/file", "");
    put(paths_of(site.data, "aaa").state(), "not json");
    site.start_agent();
    CHECK_FALSE(fs::exists(components_directory(site.data) / ".removed-db-1234"));
    CHECK(site.pid() == pid);
}
