#include "fixture.hpp"
#include "ims/sessions.hpp"

using namespace consign;
using namespace consign::ims;
using model::JobState;

namespace {
struct Sessions : Fixture {
    Sessions() {
        REQUIRE(change([&](Change& c) {
            return c.tx.execute("INSERT INTO agents(id, kind, public_key, version, hostname, enrolled_at) VALUES "
                                "($1,'build','','1','here',$2)",
                                {agent, c.now});
        }));
    }
    SessionId later() {
        clock.advance(std::chrono::milliseconds(1));
        return SessionId::make(clock.now());
    }
    Result<void> take_over(const SessionId& id) {
        return change([&](Change& c) { return sessions::take_over(c, agent, id); });
    }
    sessions::Work poll(protocol::PollRequest request, int slots = 1) {
        return *change([&](Change& c) {
            return sessions::reconcile(c, claimant(agent, request.session, Pool{}), request, slots, kLease);
        });
    }
    Job start(const SessionId& by) {
        auto work = poll({.session = by});
        REQUIRE(work.claimed.size() == 1);
        const auto& job = work.claimed.front();
        REQUIRE(change([&](Change& c) { return jobs::start(c, job.id, {agent, job.epoch}); }));
        return job;
    }
};
} // namespace

TEST_CASE("the newest session is the one that lives, in whatever order its polls come", "[sessions]") {
    Sessions f;
    const auto first = f.later(), second = f.later(), never_heard_of = f.later(), third = f.later();
    REQUIRE(f.take_over(first));
    REQUIRE(f.take_over(first));
    REQUIRE(f.take_over(second));
    REQUIRE(f.take_over(third));
    for (const auto& old : {first, second, never_heard_of}) {
        const auto refused = f.take_over(old);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Code::session_superseded);
    }
    CHECK(f.take_over(third));
}

TEST_CASE("what a poll lists is renewed, and what it does not list is queued again", "[sessions]") {
    Sessions f;
    f.add_job();
    const auto job = f.start(f.session);
    f.clock.advance(std::chrono::seconds(40));
    f.poll({.session = f.session, .running = {{job.id, job.epoch}}});
    f.clock.advance(std::chrono::seconds(40));
    CHECK(*f.change([](Change& c) { return jobs::expire(c); }) == 0);
    const auto work = f.poll({.session = f.session}, 0);
    CHECK(f.job(job.id).state == JobState::queued);
    CHECK(work.lost.empty());
    CHECK(f.poll({.session = f.session, .running = {{job.id, job.epoch}}}, 0).lost ==
          std::vector<JobId>{job.id});
}

TEST_CASE("what an earlier session had begun may still run: only who knows better has it back at once", "[sessions]") {
    Sessions f;
    f.add_job();
    const auto job = f.start(f.session);
    const auto next = f.later();
    REQUIRE(f.take_over(next));
    SECTION("a process of the same directory knows that the old one has ended") {
        const auto work = f.poll({.session = next, .leftovers = {{job.id, job.epoch}}});
        REQUIRE(work.claimed.size() == 1);
        CHECK(work.claimed.front().epoch == job.epoch + 1);
        CHECK(work.claimed.front().attempt == 2);
    }
    SECTION("any other has to wait for the lease to run out") {
        CHECK(f.poll({.session = next}).claimed.empty());
        CHECK(f.job(job.id).state == JobState::running);
        f.clock.advance(Fixture::kLease + std::chrono::seconds(1));
        REQUIRE(*f.change([](Change& c) { return jobs::expire(c); }) == 1);
        CHECK(f.poll({.session = next}).claimed.size() == 1);
    }
    SECTION("a leftover of an older lease says nothing about this one") {
        CHECK(f.poll({.session = next, .leftovers = {{job.id, job.epoch - 1}}}).claimed.empty());
    }
}

TEST_CASE("what was leased and never begun is given again at once", "[sessions]") {
    Sessions f;
    const auto id = f.add_job();
    REQUIRE(f.poll({.session = f.session}).claimed.size() == 1);
    const auto next = f.later();
    REQUIRE(f.take_over(next));
    const auto work = f.poll({.session = next});
    REQUIRE(work.claimed.size() == 1);
    CHECK(work.claimed.front().id == id);
    CHECK(work.claimed.front().attempt == 1);
}
