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
        : session_(test.environment, std::move(options)),
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
