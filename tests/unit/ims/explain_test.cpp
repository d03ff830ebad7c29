#include "fixture.hpp"
#include "ims/explain.hpp"
#include <format>

using namespace consign;
using namespace consign::ims;

namespace {
/// A directory as it is after a start, with agents straight from the store.
struct Staff : Fixture {
    Directory directory;
    InstallId install = InstallId::make(clock.now());
    AgentEntry add(const InstallId& of) {
        const auto id = AgentId::make(clock.now());
        const auto key = PrivateKey::generate().public_key().to_pem();
        REQUIRE(change([&](Change& c) {
            return c.tx.execute(
                "INSERT INTO agents(id, kind, install, public_key, version, hostname, enrolled_at) "
                "VALUES ($1,$2,$3,$4,'1','here',$5)",
                {id, of.empty() ? "build" : "install", of, key, c.now});
        }));
        REQUIRE(read([&](store::Connection& c) { return directory.refresh(c, {id}, false); }));
        return *directory.agent(id);
    }
    std::string why(const InstallId& of) {
        protocol::JobView job{.kind = of.empty() ? protocol::JobKind::build : protocol::JobKind::apply,
                              .install = of.empty() ? "" : "acme",
                              .state = model::JobState::queued};
        Explainer(directory, clock.now())(job, of);
        REQUIRE(job.waiting_for);
        CHECK_FALSE(job.waiting_for->hint.empty());
        return job.waiting_for->what;
    }
    void seen(const AgentEntry& agent, bool left = false) {
        const std::scoped_lock lock(agent.presence->mutex);
        agent.presence->last_seen = clock.now();
        agent.presence->left = left;
    }
};
} // namespace

TEST_CASE("a queued job says why it waits", "[explain]") {
    Staff staff;
    const bool build = GENERATE(true, false);
    const InstallId of = build ? InstallId{} : staff.install;
    const std::string who = build ? "a build agent" : "the install agent of acme";
    CHECK(staff.why(of) == who + ": none is enrolled");
    const auto agent = staff.add(of);
    CHECK(staff.why(of) == who + ": never seen");
    staff.seen(agent);
    CHECK(staff.why(of) == "a free slot of " + who);
    staff.clock.advance(std::chrono::seconds(91));
    CHECK(staff.why(of) == who + ": last seen 91 s ago");
    staff.seen(agent, true);
    CHECK(staff.why(of) == who + ": stopped 0 ms ago");
    staff.seen(agent);
    CHECK(staff.why(of) == "a free slot of " + who);
}

TEST_CASE("one build agent that is here is enough, and the last one to go is named", "[explain]") {
    Staff staff;
    const auto first = staff.add({}), second = staff.add({});
    staff.seen(first);
    staff.clock.advance(std::chrono::minutes(3));
    CHECK(staff.why({}) == "a build agent: last seen 3 min ago");
    staff.seen(second, true);
    staff.clock.advance(std::chrono::seconds(5));
    CHECK(staff.why({}) == "a build agent: stopped 5 s ago");
    staff.seen(first);
    CHECK(staff.why({}) == "a free slot of a build agent");
}

TEST_CASE("agents of others do not count, and jobs that do not wait for an agent are left alone",
          "[explain]") {
    Staff staff;
    staff.seen(staff.add(InstallId::make(staff.clock.now() + std::chrono::seconds(1))));
    staff.seen(staff.add({}));
    CHECK(staff.why(staff.install) == "the install agent of acme: none is enrolled");
    protocol::JobView running{.state = model::JobState::running};
    Explainer(staff.directory, staff.clock.now())(running, {});
    CHECK_FALSE(running.waiting_for);
}

TEST_CASE("an agent that takes nothing, or cannot do it, is not what a job waits for in vain", "[explain]") {
    Staff staff;
    const auto agent = staff.add(staff.install);
    staff.seen(agent);
    const auto set = [&](std::string_view assignment) {
        REQUIRE(staff.change([&](Change& c) {
            return c.tx.execute(std::format("UPDATE agents SET {} WHERE id=$1", assignment), {agent.id});
        }));
        REQUIRE(staff.read([&](store::Connection& c) { return staff.directory.refresh(c, {agent.id}, false); }));
    };
    set("draining=1");
    CHECK(staff.why(staff.install) == "the install agent of acme: it is drained and takes nothing new");
    set("draining=0, job_kinds='gc'");
    CHECK(staff.why(staff.install) == "the install agent of acme that can run apply jobs; version 1 cannot");
    set("job_kinds='gc,apply'");
    CHECK(staff.why(staff.install) == "a free slot of the install agent of acme");
}

TEST_CASE("a job whose agent went away says so, and what comes next", "[explain]") {
    Staff staff;
    const auto agent = staff.add(staff.install);
    staff.seen(agent);
    protocol::JobView job{.state = model::JobState::running,
                          .agent = agent.id,
                          .deadline = staff.clock.now() + std::chrono::seconds(100)};
    Explainer(staff.directory, staff.clock.now())(job, staff.install);
    CHECK_FALSE(job.waiting_for);
    staff.clock.advance(std::chrono::seconds(91));
    Explainer(staff.directory, staff.clock.now())(job, staff.install);
    REQUIRE(job.waiting_for);
    CHECK(job.waiting_for->what == "the agent that runs it: last seen 91 s ago");
    CHECK(job.waiting_for->hint.contains("the lease ends in 9 s"));
    CHECK(job.waiting_for->since == staff.clock.now() - std::chrono::seconds(91));
}
