#include "core_fixture.hpp"
#include "ims/poll.hpp"
#include <thread>

using namespace consign;
using namespace consign::ims;

namespace {
/// A peer that never hangs up, on a server that never drains.
struct Peer final : net::Parking {
    void watch(std::function<void(net::Wake)>) override {}
    void unwatch() override {}
};

struct Polling : CoreFixture {
    Agent agent = add_agent("acme");
    SessionId session = SessionId::make(core.clock.now());

    struct Answered {
        int status = 0;
        protocol::PollResponse body;
    };
    static net::Async<Result<Answered>> ask(Core& core, AgentId id, protocol::PollRequest what) {
        Peer peer;
        net::Request request;
        request.parking = &peer;
        Call call{.core = core, .request = request, .body = json::to_text(what)};
        call.caller.agent = core.directory.agent(id);
        CONSIGN_CO_TRY(response, co_await poll(call));
        while (response.later) { // as a connection does it
            const auto later = std::move(response.later);
            const auto until = later->until();
            const auto why = co_await peer.wait_past(until.mailbox, until.seen, until.deadline);
            response = co_await later->resume(later, why);
        }
        if (response.status >= 400)
            co_return std::unexpected(net::error_from(response.status, "application/problem+json",
                                                      std::get<std::string>(response.body)));
        Answered out{.status = response.status};
        const auto& text = std::get<std::string>(response.body);
        if (!text.empty()) {
            CONSIGN_CO_TRY(body, json::decode_text<protocol::PollResponse>(text));
            out.body = std::move(body);
        }
        co_return out;
    }
    Result<Answered> ask(protocol::PollRequest what) {
        if (what.session.empty()) what.session = session;
        return run(ask(core, agent.id, std::move(what)));
    }
    bool online() { return Directory::online(*core.directory.agent(agent.id), core.clock.now()); }
    JobId add() { return add_job(agent.install); }
    void parked(int count) {
        for (int i = 0; i < 2000; ++i) {
            {
                const auto entry = core.directory.agent(agent.id);
                std::scoped_lock lock(entry->presence->mutex);
                if (entry->presence->parked == count && entry->presence->mailbox.waiters() > 0) return;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
        FAIL("nothing was parked");
    }
};
} // namespace

TEST_CASE("a poll that asks for nonsense is refused", "[poll]") {
    Polling f;
    for (const auto& bad : std::vector<protocol::PollRequest>{
             {.slots = -1, .wait_s = 0}, {.slots = 1025, .wait_s = 0}, {.slots = 1, .wait_s = -1}}) {
        const auto refused = f.ask(bad);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Code::invalid_argument);
    }
    CHECK(f.count("SELECT COUNT(*) FROM agent_sessions") == 0);
}

TEST_CASE("a poll takes as many jobs as it has slots, and nothing is 204", "[poll]") {
    Polling f;
    CHECK(f.ask({.slots = 2, .wait_s = 0})->status == 204);
    const auto first = f.add(), second = f.add(), third = f.add();
    const auto got = f.ask({.slots = 2, .wait_s = 0});
    REQUIRE(got);
    CHECK(got->status == 200);
    REQUIRE(got->body.leases.size() == 2);
    CHECK(got->body.leases[0].job == first);
    CHECK(got->body.leases[1].job == second);
    CHECK(got->body.leases[0].epoch == 1);
    CHECK(got->body.leases[0].attempt == 1);
    CHECK(got->body.next.renew_s == 15);
    CHECK(f.job(third).state == model::JobState::queued);
    CHECK(f.job(first).session == f.session);
}

TEST_CASE("a poll renews what it lists, takes back what it does not, and tells what is lost", "[poll]") {
    Polling f;
    const auto kept = f.add(), forgotten = f.add();
    REQUIRE(f.ask({.slots = 2, .wait_s = 0})->body.leases.size() == 2);
    const auto stranger = JobId::make(f.core.clock.now());
    const auto got = f.ask({.slots = 0, .running = {{kept, 1}, {stranger, 1}}, .wait_s = 0});
    REQUIRE(got);
    CHECK(got->body.lost == std::vector<JobId>{stranger});
    CHECK(f.job(kept).state == model::JobState::leased);
    CHECK(f.job(forgotten).state == model::JobState::queued);
    CHECK(f.job(forgotten).attempt == 0); // never started: it costs none
    // An old epoch is not the lease.
    REQUIRE(f.ask({.slots = 1, .running = {{kept, 1}}, .wait_s = 0})->body.leases.size() == 1);
    const auto stale = f.ask({.slots = 0, .running = {{kept, 1}, {forgotten, 1}}, .wait_s = 0});
    CHECK(stale->body.lost == std::vector<JobId>{forgotten});
}

TEST_CASE("a newer session takes over for good", "[poll]") {
    Polling f;
    REQUIRE(f.ask({.slots = 0, .wait_s = 0}));
    const auto newer = SessionId::make(f.core.clock.now());
    REQUIRE(f.ask({.session = newer, .slots = 0, .wait_s = 0}));
    for (int i = 0; i < 2; ++i) {
        const auto old = f.ask({.slots = 0, .wait_s = 0});
        REQUIRE_FALSE(old);
        CHECK(old.error().code == Code::session_superseded);
    }
    CHECK(f.ask({.session = newer, .slots = 0, .wait_s = 0}));
    // A session belongs to one agent.
    const auto other = f.add_agent();
    const auto stolen = f.run(Polling::ask(f.core, other.id, {.session = newer, .slots = 0, .wait_s = 0}));
    REQUIRE_FALSE(stolen);
    CHECK(stolen.error().code == Code::session_superseded);
    CHECK(f.ask({.session = newer, .slots = 0, .wait_s = 0}));
}

TEST_CASE("a parked poll wakes for work", "[poll]") {
    Polling f;
    Result<Polling::Answered> got = fail(Code::internal, "none");
    std::thread waits([&] { got = f.ask({.slots = 1, .wait_s = 55}); });
    f.parked(1);
    const auto id = f.add();
    waits.join();
    REQUIRE(got);
    REQUIRE(got->body.leases.size() == 1);
    CHECK(got->body.leases.front().job == id);
}

TEST_CASE("a newer poll of the same session ends the one that is parked", "[poll]") {
    Polling f;
    Result<Polling::Answered> older = fail(Code::internal, "none");
    std::thread waits([&] { older = f.ask({.slots = 1, .wait_s = 55}); });
    f.parked(1);
    REQUIRE(f.ask({.slots = 1, .wait_s = 0}));
    waits.join();
    REQUIRE(older);
    CHECK(older->status == 204);
}

TEST_CASE("a parked poll of an agent that is revoked ends", "[poll]") {
    Polling f;
    Result<Polling::Answered> got = fail(Code::internal, "none");
    std::thread waits([&] { got = f.ask({.slots = 1, .wait_s = 55}); });
    f.parked(1);
    f.revoke(f.agent.id);
    waits.join();
    REQUIRE_FALSE(got);
    CHECK(got.error().code == Code::unauthenticated);
}

TEST_CASE("a cancel is told with every poll until the job has ended", "[poll]") {
    Polling f;
    const auto id = f.add();
    REQUIRE(f.ask({.slots = 1, .wait_s = 0})->body.leases.size() == 1);
    REQUIRE(f.change([&](Change& c) { return jobs::cancel(c, id, "ann"); }));
    // Also with one that was parked: the answer before may have been lost.
    for (const int wait_s : {0, 0, 1})
        CHECK(f.ask({.slots = 1, .running = {{id, 1}}, .wait_s = wait_s})->body.cancel == std::vector<JobId>{id});
    REQUIRE(f.change([&](Change& c) {
        return jobs::complete(c, id, {f.agent.id, 1}, {.outcome = protocol::Outcome::cancelled});
    }));
    CHECK(f.ask({.slots = 1, .wait_s = 0})->status == 204);
}

TEST_CASE("an agent that says goodbye gets no work and is offline at once", "[poll]") {
    Polling f;
    const auto id = f.add();
    CHECK_FALSE(f.online()); // never seen
    REQUIRE(f.ask({.slots = 1, .wait_s = 0})->body.leases.size() == 1);
    CHECK(f.online());
    // What it held and does not list any more goes to the next one.
    const auto bye = f.ask({.slots = 5, .wait_s = 50, .leaving = true});
    REQUIRE(bye);
    CHECK(bye->status == 204);
    CHECK_FALSE(f.online());
    CHECK(Directory::has_left(*f.core.directory.agent(f.agent.id)));
    CHECK(f.job(id).state == model::JobState::queued);
    // The goodbye of a session that was superseded says nothing about the newer one.
    const auto newer = SessionId::make(f.core.clock.now());
    REQUIRE(f.ask({.session = newer, .slots = 0, .wait_s = 0}));
    CHECK(f.online());
    CHECK_FALSE(f.ask({.slots = 0, .wait_s = 0, .leaving = true}));
    CHECK(f.online());
}
