#include "consign/base/file.hpp"
#include "fixture.hpp"
#include "ims/registry_runs.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::ims;
using protocol::RegistryRunState;

namespace {

Digest digest_of(const char* text) { return Digest::sha256_of(std::string_view(text)); }

struct Runs {
    TemporaryDirectory directory = std::move(*TemporaryDirectory::make("runs"));
    net::BlockingPool pool{1};
    SystemClock clock;
    std::unique_ptr<store::Database> db =
        std::move(store::open_sqlite(directory.path() / "ims.db", migrations()).value());
    std::unique_ptr<oci::Registry> registry =
        std::move(oci::Registry::open(directory.path() / "registry", pool).value());

    void execute(std::string sql) {
        REQUIRE(db->write_blocking([&](store::Transaction& tx) -> Result<void> {
            CONSIGN_CHECK(tx.execute(sql));
            return {};
        }));
    }
    Result<oci::GcRoots> roots() {
        return db->read_blocking([](store::Connection& c) { return registry_roots(c); });
    }
    /// Waits for the end of the run.
    template <class Report>
    static Report ended(RegistryRuns& runs, Result<Report> (RegistryRuns::*read)() const) {
        for (;;) {
            const auto now = (runs.*read)();
            REQUIRE(now);
            if (now->state != RegistryRunState::running) return *now;
            std::this_thread::yield();
        }
    }
};

} // namespace

TEST_CASE_METHOD(Runs, "what the job store names is a root", "[ims]") {
    execute("INSERT INTO builds(id, app, component, config_version, state, repository, digest, "
            "source_repository, "
            "source_digest, created_at) VALUES ('b1', 'shop', 'web', 1, 'succeeded', 'shop/web', '" +
            digest_of("built").str() + "', 'shop/web/source', '" + digest_of("source").str() + "', 1)");
    execute("INSERT INTO builds(id, app, component, config_version, state, repository, created_at) VALUES "
            "('b2', 'shop', 'web', 1, 'queued', 'shop/web', 1)");
    execute("INSERT INTO installs(id, name, app, inputs, created_at) VALUES ('i1', 'acme', 'shop', '{}', 1)");
    execute("INSERT INTO install_components(install, component, digest, state, updated_at) VALUES ('i1', "
            "'db', '" +
            digest_of("runs").str() + "', 'running', 1)");
    const protocol::ReleaseComponent part{.component = "web",
                                          .build = BuildId::make(clock.now()),
                                          .artifact = {"shop/web", digest_of("released")}};
    execute("INSERT INTO releases(id, app, version, config_version, components, created_at) VALUES "
            "('r1', 'shop', '1', 1, '" +
            json::to_text(std::vector{part}) + "', 1)");
    CHECK(roots() == oci::GcRoots{{"shop/web", {digest_of("built"), digest_of("released")}},
                                  {"shop/web/source", {digest_of("source")}},
                                  {"shop/db", {digest_of("runs")}}});
    // Rather nothing is collected than what a release holds that cannot be read.
    execute("UPDATE releases SET components = 'not JSON'");
    CHECK(!roots());
}

TEST_CASE_METHOD(Runs, "a run is started, reported, and one at a time", "[ims]") {
    RegistryRuns runs(*registry, *db, clock);
    CHECK(runs.gc().error().code == Code::not_found);
    CHECK(runs.scrub().error().code == Code::not_found);
    CHECK(runs.start(protocol::RegistryGcRequest{.grace_s = -1}).error().code == Code::invalid_argument);
    CHECK(runs.start(protocol::RegistryScrubRequest{.mib_per_s = 0}).error().code == Code::invalid_argument);
    const auto seen = runs.ended().version();
    REQUIRE(runs.start(protocol::RegistryGcRequest{.dry_run = true, .grace_s = 7}));
    const auto gc = ended(runs, &RegistryRuns::gc);
    CHECK(gc.state == RegistryRunState::done);
    CHECK(gc.dry_run);
    CHECK(gc.grace_s == 7);
    CHECK(gc.finished_at);
    REQUIRE(runs.start(protocol::RegistryScrubRequest{}));
    CHECK(ended(runs, &RegistryRuns::scrub).state == RegistryRunState::done);
    REQUIRE(runs.start(protocol::RegistryGcRequest{}));
    CHECK(!ended(runs, &RegistryRuns::gc).dry_run);
    CHECK(runs.ended().version() >= seen);
}

TEST_CASE_METHOD(Runs, "a run whose roots cannot be read fails and collects nothing", "[ims]") {
    execute("INSERT INTO releases(id, app, version, config_version, components, created_at) VALUES "
            "('r1', 'shop', '1', 1, 'not JSON', 1)");
    RegistryRuns runs(*registry, *db, clock);
    REQUIRE(runs.start(protocol::RegistryGcRequest{}));
    const auto gc = ended(runs, &RegistryRuns::gc);
    CHECK(gc.state == RegistryRunState::failed);
    CHECK_THAT(gc.error, Catch::Contains("a release"));
}
