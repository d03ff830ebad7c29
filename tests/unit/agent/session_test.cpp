// What needs a hand on the session itself: a short grace, and two attempts of one job.
#include "agent/identity.hpp"
#include "agent/session.hpp"
#include "unit/agent/fake_ims.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::agent;
using namespace std::chrono_literals;
using protocol::JobKind;
using protocol::Outcome;

namespace {

struct Fixture {
    test::FakeIms ims;
    TemporaryDirectory data = std::move(*TemporaryDirectory::make("session"));
    PrivateKey key = PrivateKey::generate();
    Identity identity{.agent = ims.agent,
                      .ims_url = ims.url(),
                      .ims = "ims-under-test",
                      .vendor_public_key = "",
                      .install = {},
                      .install_name = ""};
    net::IoThread io;
    net::Client http{io.executor()};
    Credentials credentials{http, parse_ims_url(ims.url()).value(), identity, key};
    ImsLink link{http, parse_ims_url(ims.url()).value(), credentials};
    Journal journal{data.path()};
    JobHandlers handlers;
    RunEnvironment environment{
        .io = io, .http = http, .ims = link, .journal = journal, .handlers = handlers, .data = data.path()};

    Fixture() {
        ims.with([&] { ims.key = key.public_key(); });
    }
};

class Running {
  public:
    Running(Fixture& test, SessionOptions options)
        : session_(test.environment, SessionId::make(SystemClock().now()), std::move(options)),
          thread_([this, &test] { result_ = test.io.run(session_.run()); }) {}
    Result<void> stop() {
        session_.stop();
        return join();
    }
    Result<void> join() {
        thread_.join();
        return result_;
    }

  private:
    Session session_;
    Result<void> result_;
    std::jthread thread_;
};

} // namespace

TEST_CASE_METHOD(Fixture, "a job that ignores the stop loses its lease when the grace is over", "[agent]") {
    std::atomic<bool> let_go = false;
    handlers[JobKind::build] = [&](JobContext&) -> JobOutcome {
        for (int i = 0; i < 20'000 && !let_go; ++i) std::this_thread::sleep_for(1ms);
        return {};
    };
    const auto id = ims.add();
    Running running(*this, {.grace = 200ms});
    REQUIRE(ims.wait([&] { return ims.jobs.at(id).starts == 1; }));
    std::jthread stopper([&] { CHECK(running.stop()); });
    REQUIRE(ims.wait([&] { return !ims.jobs.at(id).completions.empty(); }));
    let_go = true; // it succeeds after all, which nobody wants to know any more
    stopper.join();
    REQUIRE(ims.jobs.at(id).completions.size() == 1);
    CHECK(ims.jobs.at(id).completions[0].outcome == Outcome::given_back);
}

TEST_CASE_METHOD(Fixture, "a stop during an outage ends within the grace", "[agent]") {
    handlers[JobKind::build] = [&](JobContext& job) -> JobOutcome {
        while (!job.stop().stop_requested()) std::this_thread::sleep_for(1ms);
        job.log("never arrives\n");
        return {};
    };
    const auto id = ims.add();
    Running running(*this, {.grace = 300ms});
    REQUIRE(ims.wait([&] { return ims.jobs.at(id).starts == 1; }));
    ims.with([&] { ims.down = true; });
    const auto before = std::chrono::steady_clock::now();
    CHECK(running.stop());
    CHECK(std::chrono::steady_clock::now() - before < 15s);
    CHECK(ims.jobs.at(id).completions.empty()); // the lease runs out, and the job is queued again
}

TEST_CASE_METHOD(Fixture, "two attempts of one job never run at the same time", "[agent]") {
    std::atomic<int> now = 0, most = 0, ran = 0;
    handlers[JobKind::build] = [&](JobContext& job) -> JobOutcome {
        most = std::max(most.load(), ++now);
        ++ran;
        while (ran < 2 && !job.stop().stop_requested()) std::this_thread::sleep_for(1ms);
        std::this_thread::sleep_for(200ms); // winding down takes its time
        --now;
        return {};
    };
    const auto id = ims.add();
    Running running(*this, {});
    REQUIRE(ims.wait([&] { return ims.jobs.at(id).starts == 1; }));
    ims.change([&] { // the lease ran out, and the job comes back to us
        auto& job = ims.jobs.at(id);
        job.lost = true;
        ++job.lease.attempt;
        ims.queue.push_back(id);
    });
    REQUIRE(ims.wait([&] { return !ims.jobs.at(id).completions.empty(); }));
    CHECK(ran == 2);
    CHECK(most == 1);
    CHECK(running.stop());
}

TEST_CASE_METHOD(Fixture, "an idle session knows that it is connected before its parked poll is answered",
                 "[agent]") {
    std::atomic<int> connected = 0;
    Running running(*this, {.on_connected = [&]() -> Result<void> {
        ++connected;
        ims.change([] {});
        return {};
    }});
    CHECK(ims.wait([&] { return connected == 1; }));
    REQUIRE(ims.wait([&] { return ims.polls.size() == 2; }));
    CHECK(ims.polls[0].wait_s == 0);
    CHECK(ims.polls[1].wait_s == 50);
    CHECK(running.stop());
    CHECK(connected == 1);
}

TEST_CASE_METHOD(Fixture, "a refusal that ends the agent says why and what to do", "[agent]") {
    struct Row {
        const char* path;
        Error refusal;
        std::string message, hint;
    };
    const std::string not_accepted = "the IMS does not accept this agent: ";
    const auto row = GENERATE_COPY(values<Row>({
        // The IMS knows better than we what is wrong: a wrong clock is not cured by enrolling anew.
        {"/v1/token",
         {Code::unauthenticated, "the agent's clock is 1 h behind", "synchronise the clocks (NTP)"},
         not_accepted + "no access token: the agent's clock is 1 h behind",
         "synchronise the clocks (NTP)"},
        {"/v1/token",
         {Code::unauthenticated, "its signature is wrong", ""},
         not_accepted + "no access token: its signature is wrong",
         "if the agent was revoked or the IMS is a new one: remove agent.json from the data directory and "
         "enrol "
         "with a new token"},
        {"/v1/agent/poll",
         {Code::session_superseded, "a newer session took over", ""},
         "a newer session took over",
         "run one process per data directory, and do not copy it"},
        {"/v1/agent/poll",
         {Code::permission_denied, "agents of this install are suspended", "ask the vendor"},
         not_accepted + "agents of this install are suspended",
         "ask the vendor"},
    }));
    ims.fault(row.path, net::problem(row.refusal));
    const auto ended = Running(*this, {}).join();
    REQUIRE_FALSE(ended);
    CHECK(ended.error().code == row.refusal.code);
    CHECK(ended.error().message == row.message);
    CHECK(ended.error().hint == row.hint);
}
