#include "fixture.hpp"

using namespace consign;
using namespace consign::ims;
using model::JobState;
using protocol::Outcome;

namespace {
struct Limits : Fixture {
    /// As maintain() does it, once a second.
    void pass(std::chrono::seconds time) {
        clock.advance(time);
        REQUIRE(change([](Change& c) -> Result<void> {
            CONSIGN_CHECK(jobs::end_pauses(c));
            CONSIGN_CHECK(jobs::enforce_limits(c));
            return {};
        }));
    }
    bool due() {
        return *read([&](store::Connection& c) { return jobs::anything_due(c, clock.now()); });
    }
    JobId start_one() {
        const auto id = add_job();
        const auto epoch = claim().front().epoch;
        REQUIRE(change([&](Change& c) { return jobs::start(c, id, {agent, epoch}); }));
        return id;
    }
};
constexpr auto kBuild = model::policy_of(protocol::JobKind::build);
} // namespace

TEST_CASE("a job that nobody takes times out", "[limits]") {
    Limits f;
    const auto id = f.add_job();
    f.pass(kBuild.queue_limit - std::chrono::seconds(1));
    CHECK(f.job(id).state == JobState::queued);
    CHECK_FALSE(f.due());
    f.clock.advance(std::chrono::seconds(1));
    CHECK(f.due());
    f.pass(std::chrono::seconds(0));
    CHECK(f.job(id).state == JobState::timed_out);
    CHECK(f.job(id).error == "no agent took it within 1 d");
    CHECK_FALSE(f.due());
}

TEST_CASE("an attempt that runs for too long is stopped, and has timed out", "[limits]") {
    Limits f;
    const auto id = f.start_one();
    f.pass(kBuild.run_limit);
    CHECK(f.job(id).state == JobState::running);
    CHECK(f.job(id).stop == Stop::time_out);
    CHECK(f.effects.tell.contains(f.agent));
    SECTION("by its agent") {
        REQUIRE(f.complete(id, 1, Outcome::cancelled, "cancelled"));
        CHECK(f.job(id).state == JobState::timed_out);
    }
    SECTION("without it, when that does not answer") {
        f.pass(kBuild.stop_limit);
        CHECK(f.job(id).state == JobState::timed_out);
        CHECK(f.job(id).error.starts_with("it ran for longer than"));
        const auto late = f.complete(id, 1, Outcome::succeeded);
        REQUIRE_FALSE(late);
        CHECK(late.error().code == Code::lease_lost);
    }
    SECTION("although it says that it failed") {
        REQUIRE(f.complete(id, 1, Outcome::failed, "killed"));
        CHECK(f.job(id).state == JobState::failed);
    }
}

TEST_CASE("what its agent does not cancel in time is cancelled without it", "[limits]") {
    Limits f;
    const auto id = f.start_one();
    REQUIRE(f.change([&](Change& c) { return jobs::cancel(c, id, "ann"); }));
    f.pass(kBuild.stop_limit - std::chrono::seconds(1));
    CHECK(f.job(id).state == JobState::running);
    REQUIRE(f.change([&](Change& c) { return jobs::cancel(c, id, "bob"); })); // gives it no more time
    f.pass(std::chrono::seconds(1));
    CHECK(f.job(id).state == JobState::cancelled);
    CHECK_FALSE(f.change([&](Change& c) { return jobs::start(c, id, {f.agent, 1}); }));
}

TEST_CASE("a cancel that came before the start keeps its time to stop", "[limits]") {
    Limits f;
    const auto id = f.add_job();
    f.claim();
    REQUIRE(f.change([&](Change& c) { return jobs::cancel(c, id, "ann"); }));
    REQUIRE(f.change([&](Change& c) { return jobs::start(c, id, {f.agent, 1}); }));
    f.pass(kBuild.stop_limit);
    CHECK(f.job(id).state == JobState::cancelled);
}

TEST_CASE("a failure that may pass is tried again after a pause that grows, while attempts are left", "[limits]") {
    Limits f;
    const auto id = f.add_job(3);
    auto pause = kBuild.first_pause;
    for (int attempt = 1; attempt <= 3; ++attempt) {
        const auto claimed = f.claim();
        REQUIRE(claimed.size() == 1);
        CHECK(claimed.front().attempt == attempt);
        const auto epoch = claimed.front().epoch;
        REQUIRE(f.change([&](Change& c) { return jobs::start(c, id, {f.agent, epoch}); }));
        REQUIRE(f.change([&](Change& c) {
            return jobs::complete(c, id, {f.agent, epoch},
                                  {.outcome = Outcome::failed, .may_pass = true, .error = "away"});
        }));
        if (attempt == 3) break;
        CHECK(f.job(id).state == JobState::queued);
        CHECK(f.effects.wake.empty());
        CHECK(f.claim().empty());
        f.pass(pause - std::chrono::seconds(1));
        CHECK(f.claim().empty());
        f.pass(std::chrono::seconds(1));
        CHECK(f.effects.wake[Pool{}] == 1);
        pause *= 2;
    }
    CHECK(f.job(id).state == JobState::failed);
    CHECK(f.job(id).error == "away");
}
