#include "ims/schedules.hpp"
#include "shop.hpp"

using namespace consign;
using namespace consign::ims;
using namespace std::chrono_literals;
using model::JobState;
using protocol::JobKind;

namespace {
struct Schedules : Fixture {
    InstallId install;

    Schedules() {
        REQUIRE(change([&](Change& c) -> Result<void> {
            CONSIGN_TRY(made, seed_install(c, "acme"));
            install = made.id;
            CONSIGN_CHECK(installs::set_component(c, install, {.component = "web", .state = "running"}));
            return schedules::arrange(c, install, {.health = 1h, .drift = 0s, .gc = 24h});
        }));
    }
    int tick() {
        return *change([](Change& c) { return schedules::tick(c); });
    }
    std::vector<Job> of_kind(std::string_view kind) {
        return *read([&](store::Connection& c) { return jobs::find(c, "kind=$1 ORDER BY id", {kind}); });
    }
    /// The agent runs what is queued.
    Job run(JobKind kind, const json::Value& result) {
        jobs::Claimant all = claimant(agent, session, Pool{install});
        all.kinds = {JobKind::apply, JobKind::health, JobKind::drift, JobKind::gc};
        const auto claimed = *change([&](Change& c) { return jobs::claim(c, all, 1, kLease); });
        REQUIRE(claimed.size() == 1);
        CHECK(claimed.front().kind == kind);
        const auto& job = claimed.front();
        REQUIRE(change([&](Change& c) { return jobs::start(c, job.id, {agent, job.epoch}); }));
        REQUIRE(complete(job.id, job.epoch, protocol::Outcome::succeeded, "", result));
        return job;
    }
    protocol::InstallComponentView web() {
        return read([&](store::Connection& c) -> Result<protocol::InstallComponentView> {
            CONSIGN_TRY(found, installs::get(c, "acme"));
            CONSIGN_TRY(parts, installs::components(c, found));
            return parts.front();
        }).value();
    }
};
} // namespace

TEST_CASE("each install has its own place in the period", "[schedules]") {
    ManualClock clock;
    std::set<std::int64_t> phases;
    for (int i = 0; i < 1000; ++i) {
        const auto install = InstallId::make(clock.now());
        const auto slot = schedules::next_slot(install, JobKind::health, 1h, clock.now());
        CHECK(slot > clock.now());
        CHECK(slot <= clock.now() + 1h);
        CHECK(schedules::next_slot(install, JobKind::health, 1h, slot) == slot + 1h);
        phases.insert((slot - clock.now()) / 6min); // tenths of the hour
    }
    CHECK(phases.size() >= 10);
}

TEST_CASE("a schedule makes one job a period", "[schedules]") {
    Schedules f;
    CHECK(f.tick() == 0);
    f.clock.advance(1h);
    CHECK(f.tick() >= 1);
    CHECK(f.tick() == 0);
    REQUIRE(f.of_kind("health").size() == 1);
    CHECK(f.of_kind("health").front().state == JobState::queued);
    CHECK(f.of_kind("drift").empty());
    f.run(JobKind::health, json::encode(protocol::FindingsResult{}));
    f.clock.advance(1h);
    f.tick();
    CHECK(f.of_kind("health").size() == 2);
}

TEST_CASE("an agent that was away for days catches up once", "[schedules]") {
    Schedules f;
    for (int i = 0; i < 100; ++i) {
        f.clock.advance(1h);
        f.tick();
    }
    CHECK(f.of_kind("health").size() == 1);
    f.run(JobKind::health, json::encode(protocol::FindingsResult{}));
    CHECK(f.tick() == 0);
    f.clock.advance(1h);
    f.tick();
    CHECK(f.of_kind("health").size() == 2);
}

TEST_CASE("an install with nothing in it is left alone", "[schedules]") {
    Schedules f;
    REQUIRE(f.change([&](Change& c) {
        return installs::set_component(c, f.install, {.component = "web", .state = "absent"});
    }));
    f.clock.advance(48h);
    CHECK(f.tick() == 2);
    CHECK(f.of_kind("health").empty());
    CHECK(f.of_kind("gc").empty());
}

TEST_CASE("by hand there is one at a time, of the scheduled kinds", "[schedules]") {
    Schedules f;
    const auto ask = [&](JobKind kind) {
        return f.change([&](Change& c) { return schedules::run_now(c, f.install, kind); });
    };
    REQUIRE(ask(JobKind::drift));
    CHECK(ask(JobKind::drift).error().code == Code::conflict);
    CHECK(ask(JobKind::apply).error().code == Code::invalid_argument);
    CHECK(ask(JobKind::health));
}

TEST_CASE("what a job found out is kept with the component", "[schedules]") {
    Schedules f;
    const auto look = [&](JobKind kind, bool good, std::string detail) {
        REQUIRE(f.change([&](Change& c) { return schedules::run_now(c, f.install, kind); }));
        f.run(kind, json::encode(protocol::FindingsResult{.components = {{"web", {good, std::move(detail)}}}}));
    };
    look(JobKind::health, false, "GET http://x: 503");
    CHECK(f.web().health == "GET http://x: 503");
    look(JobKind::health, true, "");
    CHECK(f.web().health == "healthy");
    look(JobKind::drift, false, "etc/web.conf changed");
    CHECK(f.web().drift == "etc/web.conf changed");
    CHECK(f.web().health == "healthy");
}

TEST_CASE("a scheduled job does not begin while something changes the install", "[schedules]") {
    Schedules f;
    REQUIRE(f.change([&](Change& c) -> Result<void> {
        const auto id = JobId::make(c.now);
        CONSIGN_CHECK(jobs::insert(c, Job{.id = id, .kind = JobKind::apply, .app = "shop", .component = "web", .install = f.install}, {}));
        CONSIGN_CHECK(jobs::release_ready(c, id));
        CONSIGN_CHECK(schedules::run_now(c, f.install, JobKind::drift));
        return {};
    }));
    jobs::Claimant all = claimant(f.agent, f.session, Pool{f.install});
    all.kinds = {JobKind::apply, JobKind::drift};
    // Not even in the same poll, when neither has begun.
    const auto first = *f.change([&](Change& c) { return jobs::claim(c, all, 5, Fixture::kLease); });
    REQUIRE(first.size() == 1);
    CHECK(first.front().kind == JobKind::apply); // the more important one goes first
    CHECK(f.change([&](Change& c) { return jobs::claim(c, all, 5, Fixture::kLease); })->empty());
    REQUIRE(f.change([&](Change& c) { return jobs::start(c, first.front().id, {f.agent, 1}); }));
    REQUIRE(f.complete(first.front().id, 1, protocol::Outcome::failed, "x"));
    CHECK(f.effects.wake[Pool{f.install}] >= 1);
    CHECK(f.change([&](Change& c) { return jobs::claim(c, all, 5, Fixture::kLease); })->size() == 1);
}
