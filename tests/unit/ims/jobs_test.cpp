#include "fixture.hpp"
#include "ims/jobs.hpp"

using namespace consign;
using namespace consign::ims;
using model::JobState;
using protocol::Outcome;

TEST_CASE("a job is claimed once, oldest first, with a new epoch", "[jobs]") {
    Fixture f;
    const auto first = f.add_job(), second = f.add_job();
    CHECK(f.effects.wake[Pool{}] == 1);

    const auto claimed = f.claim(1);
    REQUIRE(claimed.size() == 1);
    CHECK(claimed.front().id == first);
    CHECK(claimed.front().epoch == 1);
    CHECK(claimed.front().attempt == 1);
    CHECK(*claimed.front().deadline == f.clock.now() + Fixture::kLease);
    CHECK(f.claim(5).front().id == second);
    CHECK(f.claim(5).empty());
}

TEST_CASE("every write of a stale epoch is refused", "[jobs][fencing]") {
    Fixture f;
    const auto id = f.add_job();
    REQUIRE(f.claim().front().epoch == 1);
    f.clock.advance(std::chrono::seconds(46));
    REQUIRE(*f.change([](Change& c) { return jobs::expire(c); }) == 1);
    REQUIRE(f.claim().front().epoch == 2);

    const jobs::Holder stale{f.agent, 1};
    const auto refused = [](const auto& result) {
        REQUIRE_FALSE(result);
        CHECK(result.error().code == Code::lease_lost);
    };
    refused(f.change([&](Change& c) { return jobs::start(c, id, stale); }));
    refused(f.change([&](Change& c) { return jobs::renew(c, id, stale, Fixture::kLease); }));
    refused(f.change([&](Change& c) { return jobs::report_steps(c, id, stale, {{.seq = 1, .name = "x"}}); }));
    refused(
        f.change([&](Change& c) { return jobs::complete(c, id, stale, {.outcome = Outcome::succeeded}); }));
    CHECK(f.job(id).state == JobState::leased);
    CHECK(f.job(id).epoch == 2);

    // Another agent's job does not exist, whatever epoch is guessed.
    const jobs::Holder other{AgentId::make(f.clock.now()), 2};
    const auto hidden =
        f.change([&](Change& c) { return jobs::complete(c, id, other, {.outcome = Outcome::succeeded}); });
    REQUIRE_FALSE(hidden);
    CHECK(hidden.error().code == Code::not_found);
}

TEST_CASE("a completion may be repeated, but not contradicted", "[jobs]") {
    Fixture f;
    const auto id = f.add_job();
    const auto epoch = f.claim().front().epoch;
    REQUIRE(f.change([&](Change& c) { return jobs::start(c, id, {f.agent, epoch}); }));
    REQUIRE(f.change([&](Change& c) { return jobs::start(c, id, {f.agent, epoch}); })); // its answer was lost
    REQUIRE(f.complete(id, epoch, Outcome::failed, "no space"));
    CHECK(f.complete(id, epoch, Outcome::failed, "no space"));
    const auto contradiction = f.complete(id, epoch, Outcome::succeeded);
    REQUIRE_FALSE(contradiction);
    CHECK(contradiction.error().code == Code::lease_lost);
    CHECK(f.job(id).state == JobState::failed);
    CHECK(f.job(id).error == "no space");
}

TEST_CASE("a lease that runs out is another attempt, until none is left", "[jobs]") {
    Fixture f;
    const auto id = f.add_job(2);
    for (int attempt = 1; attempt <= 2; ++attempt) {
        const auto claimed = f.claim();
        REQUIRE(claimed.size() == 1);
        CHECK(claimed.front().attempt == attempt);
        REQUIRE(f.change([&](Change& c) { return jobs::start(c, id, {f.agent, claimed.front().epoch}); }));
        f.clock.advance(std::chrono::seconds(46));
        REQUIRE(*f.change([](Change& c) { return jobs::expire(c); }) == 1);
    }
    CHECK(f.job(id).state == JobState::failed);
    CHECK(f.job(id).error.starts_with("agent_lost"));
}

TEST_CASE("what was never started, or was given back, costs no attempt", "[jobs]") {
    Fixture f;
    const auto id = f.add_job(1);
    f.claim();
    REQUIRE(f.change(
        [&](Change& c) { return jobs::lose(c, f.job(id), jobs::Loss::never_started, "undelivered"); }));
    CHECK(f.job(id).attempt == 0);
    CHECK(f.effects.wake[Pool{}] == 1);

    const auto epoch = f.claim().front().epoch;
    REQUIRE(f.change([&](Change& c) { return jobs::start(c, id, {f.agent, epoch}); }));
    REQUIRE(f.complete(id, epoch, Outcome::given_back, "shutting down"));
    CHECK(f.job(id).state == JobState::queued);
    CHECK(f.job(id).attempt == 0);
}

TEST_CASE("a renewed lease does not run out", "[jobs]") {
    Fixture f;
    const auto id = f.add_job();
    const auto epoch = f.claim().front().epoch;
    f.clock.advance(std::chrono::seconds(40));
    REQUIRE(f.change([&](Change& c) { return jobs::renew(c, id, {f.agent, epoch}, Fixture::kLease); }));
    f.clock.advance(std::chrono::seconds(40));
    CHECK(*f.change([](Change& c) { return jobs::expire(c); }) == 0);
}

TEST_CASE("cancel ends a queued job at once, and asks the holder of a running one", "[jobs]") {
    Fixture f;
    const auto queued = f.add_job();
    REQUIRE(f.change([&](Change& c) { return jobs::cancel(c, queued, "ann"); }));
    CHECK(f.job(queued).state == JobState::cancelled);

    const auto running = f.add_job();
    const auto epoch = f.claim().front().epoch;
    REQUIRE(f.change([&](Change& c) { return jobs::cancel(c, running, "ann"); }));
    CHECK(f.job(running).state == JobState::leased);
    CHECK(f.effects.tell.contains(f.agent));
    CHECK(f.complete(running, epoch, Outcome::cancelled));
    CHECK(f.job(running).state == JobState::cancelled);
    const auto again = f.change([&](Change& c) { return jobs::cancel(c, running, "ann"); });
    REQUIRE_FALSE(again);
    CHECK(again.error().code == Code::conflict);
}

TEST_CASE("the agent of a cancelled job may vanish: the job still ends cancelled", "[jobs]") {
    Fixture f;
    const auto id = f.add_job();
    f.claim();
    REQUIRE(f.change([&](Change& c) { return jobs::cancel(c, id, "ann"); }));
    f.clock.advance(std::chrono::seconds(46));
    REQUIRE(f.change([](Change& c) { return jobs::expire(c); }));
    CHECK(f.job(id).state == JobState::cancelled);
}

TEST_CASE("dependents are released by success and skipped by anything else", "[jobs]") {
    Fixture f;
    const auto outcome = GENERATE(Outcome::succeeded, Outcome::failed, Outcome::cancelled);
    const auto base = f.add_job();
    const auto middle = JobId::make(f.clock.now()), top = JobId::make(f.clock.now());
    REQUIRE(f.change([&](Change& c) -> Result<void> {
        CONSIGN_CHECK(jobs::insert(c, Job{.id = middle, .app = "shop", .component = "middle"}, {base}));
        CONSIGN_CHECK(jobs::insert(c, Job{.id = top, .app = "shop", .component = "top"}, {middle, base}));
        return jobs::release_ready(c, middle);
    }));
    CHECK(f.job(middle).state == JobState::blocked);
    f.run_one({}, outcome);
    const bool ok = outcome == Outcome::succeeded;
    CHECK(f.job(middle).state == (ok ? JobState::queued : JobState::skipped));
    CHECK(f.job(top).state == (ok ? JobState::blocked : JobState::skipped));
}

TEST_CASE("steps are stored by number: a report that is sent again changes nothing", "[jobs]") {
    Fixture f;
    const auto id = f.add_job();
    const auto epoch = f.claim().front().epoch;
    const std::vector<protocol::StepReport> steps{
        {.seq = 1, .name = "pack", .state = protocol::StepState::succeeded},
        {.seq = 2, .name = "push", .state = protocol::StepState::running}};
    for (int i = 0; i < 2; ++i)
        REQUIRE(f.change([&](Change& c) { return jobs::report_steps(c, id, {f.agent, epoch}, steps); }));
    const auto count = f.read([](store::Connection& c) {
        return c.query_one("SELECT COUNT(*) FROM job_steps", {},
                           [](const store::Row& row) { return row.integer(0); });
    });
    CHECK(**count == 2);
    // The end of the attempt ends the step that was open.
    REQUIRE(f.change([&](Change& c) { return jobs::start(c, id, {f.agent, epoch}); }));
    REQUIRE(f.complete(id, epoch, Outcome::failed, "x"));
    const auto state = f.read([](store::Connection& c) {
        return c.query_one("SELECT state FROM job_steps WHERE seq=2", {},
                           [](const store::Row& row) { return row.string(0); });
    });
    CHECK(**state == "failed");
}
