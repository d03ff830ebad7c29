// The whole agent against a small IMS: real sockets, real threads, a few jobs.
#include "consign/agent/agent.hpp"
#include "unit/agent/fake_ims.hpp"
#include <catch2/catch.hpp>
#include <sys/stat.h>

using namespace consign;
using namespace consign::agent;
using namespace std::chrono_literals;
using protocol::JobKind;
using protocol::Outcome;

namespace {

struct Fixture {
    test::FakeIms ims;
    TemporaryDirectory data = std::move(*TemporaryDirectory::make("agent"));
    JobHandlers handlers;

    AgentOptions options(protocol::AgentKind kind = protocol::AgentKind::build) {
        AgentOptions options{.kind = kind,
                             .ims = ims.url(),
                             .enroll_token = Secret<std::string>("enroll-me"),
                             .data = data.path(),
                             .version = "9.9"};
        options.slots = 2;
        return options;
    }
    std::unique_ptr<Agent> open(AgentOptions with) {
        auto agent = Agent::open(std::move(with));
        if (!agent) FAIL(to_string(agent.error()));
        return std::move(*agent);
    }
    std::unique_ptr<Agent> open() { return open(options()); }
};

/// Runs the agent on a thread; stops and joins it at the end.
class Running {
  public:
    Running(Agent& agent, const JobHandlers& handlers)
        : thread_([this, &agent, &handlers](std::stop_token stop) { result_ = agent.run(handlers, stop); }) {}
    Result<void> stop() {
        thread_.request_stop();
        return join();
    }
    Result<void> join() {
        thread_.join();
        return result_;
    }

  private:
    Result<void> result_;
    std::jthread thread_;
};

void until_stopped(JobContext& job) {
    while (!job.stop().stop_requested()) std::this_thread::sleep_for(1ms);
}

Result<void> once(Fixture& test) {
    auto options = test.options();
    options.once = true;
    return test.open(options)->run(test.handlers, {});
}

} // namespace

TEST_CASE_METHOD(Fixture, "an agent enrols once and remembers who it is", "[agent]") {
    {
        const auto agent = open();
        CHECK(agent->identity().agent == ims.agent);
        CHECK(agent->identity().ims == "ims-under-test");
        CHECK(agent->identity().install_name == "acme");
    }
    CHECK(ims.enrolled_with.version == "9.9");
    CHECK_FALSE(ims.enrolled_with.hostname.empty());
    for (const char* file : {"agent.json", "agent.key"}) {
        struct stat status{};
        REQUIRE(::stat((data.path() / file).c_str(), &status) == 0);
        CHECK((status.st_mode & 0777) == 0600);
    }
    auto again = options();
    again.ims.clear(); // remembered; and the used token is not sent again
    CHECK(open(again)->identity().ims_url == ims.url());
}

TEST_CASE_METHOD(Fixture, "what keeps an agent from starting is said in one line with what to do",
                 "[agent]") {
    auto wrong = options();
    SECTION("a token that is not known") {
        wrong.enroll_token = Secret<std::string>("guess");
        const auto agent = Agent::open(wrong);
        REQUIRE_FALSE(agent);
        CHECK(agent.error().code == Code::unauthenticated);
        CHECK(agent.error().hint.contains("consign agent enroll"));
    }
    SECTION("nobody there") {
        wrong.ims = "http://127.0.0.1:1";
        const auto agent = Agent::open(wrong);
        REQUIRE_FALSE(agent);
        CHECK(agent.error().code == Code::unavailable);
        CHECK(agent.error().message.contains("http://127.0.0.1:1"));
        CHECK_FALSE(agent.error().hint.empty());
    }
    SECTION("another program behind the URL") {
        ims.fault("/enroll", net::Response::text(404, "<html>not here</html>"));
        const auto agent = Agent::open(wrong);
        REQUIRE_FALSE(agent);
        CHECK(agent.error().message.contains("there is no IMS at"));
    }
    SECTION("another program that likes everything") {
        ims.fault("/enroll", net::Response::text(200, "welcome"));
        const auto agent = Agent::open(wrong);
        REQUIRE_FALSE(agent);
        CHECK(agent.error().message.contains("there is no IMS at"));
    }
    SECTION("a URL that is none") {
        wrong.ims = "ims.example";
        const auto agent = Agent::open(wrong);
        REQUIRE_FALSE(agent);
        CHECK(agent.error().code == Code::invalid_argument);
    }
    SECTION("neither identity nor token") {
        wrong.enroll_token = {};
        const auto agent = Agent::open(wrong);
        REQUIRE_FALSE(agent);
        CHECK(agent.error().hint.contains("--enroll"));
    }
    SECTION("a data directory that cannot be one") {
        REQUIRE(write_file_atomic(data.path() / "file", std::string_view("")));
        wrong.data = data.path() / "file" / "below";
        const auto agent = Agent::open(wrong);
        REQUIRE_FALSE(agent);
        CHECK(agent.error().message.contains("file/below"));
        CHECK(agent.error().hint.contains("--data"));
    }
    SECTION("a data directory of another process") {
        const auto first = open();
        const auto second = Agent::open(options());
        REQUIRE_FALSE(second);
        CHECK(second.error().code == Code::conflict);
    }
    SECTION("a data directory of the other kind of agent") {
        open();
        const auto agent = Agent::open(options(protocol::AgentKind::install));
        REQUIRE_FALSE(agent);
        CHECK(agent.error().code == Code::conflict);
    }
    SECTION("a damaged identity") {
        open();
        REQUIRE(write_file_atomic(data.path() / "agent.json", std::string_view("{")));
        const auto agent = Agent::open(options());
        REQUIRE_FALSE(agent);
        CHECK(agent.error().code == Code::corrupt);
    }
}

TEST_CASE_METHOD(Fixture, "a job runs from lease to completion, its log and steps with it", "[agent]") {
    handlers[JobKind::build] = [](JobContext& job) -> JobOutcome {
        job.redact("hunter2");
        job.begin_step("fetch");
        job.log("the password is hunter2\n");
        job.begin_step("push");
        job.log("no newline at the end");
        CHECK(std::filesystem::is_directory(job.scratch()));
        CHECK(job.lease().spec.at("what") == "this");
        return {.error = {}, .result = {{"answer", 42}}};
    };
    const auto id = ims.add(JobKind::build, {{"what", "this"}});
    REQUIRE(once(*this));

    const auto& job = ims.jobs.at(id);
    CHECK(job.starts == 1);
    CHECK(job.log == "the password is (redacted)\nno newline at the end");
    REQUIRE(job.steps.size() == 2);
    CHECK(job.steps.at(1).name == "fetch");
    CHECK(job.steps.at(1).state == protocol::StepState::succeeded);
    CHECK(job.steps.at(2).state == protocol::StepState::succeeded);
    REQUIRE(job.completions.size() == 1);
    CHECK(job.completions[0].outcome == Outcome::succeeded);
    CHECK(job.completions[0].result.at("answer") == 42);
    CHECK(std::filesystem::is_empty(data.path() / "scratch"));
    CHECK(std::filesystem::is_empty(data.path() / "jobs"));
}

TEST_CASE_METHOD(Fixture, "an assertion says who, for whom, and is good once and briefly", "[agent]") {
    REQUIRE(once(*this));
    ims.expires_in = 1; // below the margin: a new one for almost every request
    ims.add();
    handlers[JobKind::build] = [](JobContext& job) -> JobOutcome {
        const auto token = job.access_token();
        REQUIRE(token);
        job.log(*token + "\n");
        std::this_thread::sleep_for(600ms);
        return {};
    };
    REQUIRE(once(*this));
    REQUIRE(ims.assertions.size() >= 3);
    for (const auto& claims : ims.assertions) {
        CHECK(claims.at("iss") == ims.agent.str());
        CHECK(claims.at("sub") == ims.agent.str());
        CHECK(claims.at("aud") == "ims-under-test");
        CHECK(claims.at("exp").get<std::int64_t>() - claims.at("iat").get<std::int64_t>() == 60);
    }
    CHECK(ims.assertions[0].at("jti") != ims.assertions[1].at("jti"));
    CHECK(ims.jobs.begin()->second.log == "(redacted)\n");
}

TEST_CASE_METHOD(Fixture, "a refused access token is replaced once, without a word", "[agent]") {
    const auto agent = open();
    Running running(*agent, handlers);
    REQUIRE(ims.wait([&] { return ims.polls.size() == 2; })); // the second one is parked
    ims.change([&] { ims.good_tokens.clear(); });
    REQUIRE(ims.wait([&] { return ims.polls.size() >= 3 && !ims.good_tokens.empty(); }));
    CHECK(running.stop());
}

TEST_CASE_METHOD(Fixture, "how a job ended is said as it was", "[agent]") {
    struct Row {
        Code code;
        Outcome want;
    };
    const auto row = GENERATE(values<Row>({{Code::failed, Outcome::failed},
                                           {Code::invalid_argument, Outcome::failed},
                                           {Code::cancelled, Outcome::cancelled},
                                           {Code::timed_out, Outcome::timed_out}}));
    handlers[JobKind::build] = [row](JobContext& job) -> JobOutcome {
        job.redact("s3cret");
        job.begin_step("only");
        return {.error = Error{row.code, "it broke\nat s3cret", "mend it"},
                .result = {{"rolled_back", true}}};
    };
    const auto id = ims.add();
    REQUIRE(once(*this));
    const auto& job = ims.jobs.at(id);
    REQUIRE(job.completions.size() == 1);
    CHECK(job.completions[0].outcome == row.want);
    CHECK(job.completions[0].error == "it broke at (redacted) (mend it)");
    CHECK(job.completions[0].result.at("rolled_back") == true);
    CHECK(job.steps.at(1).state == protocol::StepState::failed);
}

TEST_CASE_METHOD(Fixture, "code that throws, and a kind nobody knows, fail their job and no more",
                 "[agent]") {
    handlers[JobKind::build] = [](JobContext&) -> JobOutcome { throw std::runtime_error("a bug"); };
    const auto thrown = ims.add(JobKind::build), unknown = ims.add(JobKind::teardown);
    REQUIRE(once(*this));
    CHECK(ims.jobs.at(thrown).completions.at(0).error.contains("a bug"));
    CHECK(ims.jobs.at(unknown).completions.at(0).outcome == Outcome::failed);
    CHECK(ims.jobs.at(unknown).completions.at(0).error.contains("cannot run teardown"));
}

TEST_CASE_METHOD(Fixture, "each byte of a log is stored once, whatever answer got lost", "[agent]") {
    std::string want;
    for (int i = 0; i < 40'000; ++i)
        want += "line " + std::to_string(i) + " of a long log\n"; // several batches
    handlers[JobKind::build] = [&want](JobContext& job) -> JobOutcome {
        job.log(want);
        return {};
    };
    const auto id = ims.add();
    ims.fault("/logs", net::problem({Code::unavailable, "stored, but you will not know"}), true);
    ims.fault("/logs", net::problem({Code::internal, "not stored"}));
    ims.fault("/steps", net::problem({Code::unavailable, "busy"}));
    ims.fault("/start", net::problem({Code::unavailable, "busy"}));
    ims.fault("/complete", net::problem({Code::unavailable, "stored, but you will not know"}), true);
    REQUIRE(once(*this));
    CHECK(ims.jobs.at(id).log == want);
    CHECK(ims.jobs.at(id).completions.size() == 2); // repeated until answered
}

TEST_CASE_METHOD(Fixture, "a log goes on where an earlier session left it", "[agent]") {
    handlers[JobKind::build] = [](JobContext& job) -> JobOutcome {
        job.log("second\n");
        return {};
    };
    const auto id = ims.add();
    ims.with([&] {
        ims.jobs.at(id).log = "first\n";
        ims.jobs.at(id).lease.log_offset = 6;
    });
    REQUIRE(once(*this));
    CHECK(ims.jobs.at(id).log == "first\nsecond\n");
}

TEST_CASE_METHOD(Fixture, "a log over its limit is dropped, the job goes on", "[agent]") {
    handlers[JobKind::build] = [](JobContext& job) -> JobOutcome {
        for (int i = 0; i < 12; ++i) job.log(std::string(1 << 20, 'x') + "\n"); // more than the outbox holds
        return {};
    };
    const auto id = ims.add();
    ims.fault("/logs", net::problem({Code::too_large, "1 GiB is enough"}), false, 1000);
    REQUIRE(once(*this));
    CHECK(ims.jobs.at(id).completions.at(0).outcome == Outcome::succeeded);
}

TEST_CASE_METHOD(Fixture, "a result the IMS refuses ends the job as failed, not never", "[agent]") {
    handlers[JobKind::build] = [](JobContext&) -> JobOutcome { return {}; };
    const auto id = ims.add();
    ims.fault("/complete", net::problem({Code::too_large, "the result has 5 MiB"}));
    REQUIRE(once(*this));
    CHECK(ims.jobs.at(id).completions.at(0).outcome == Outcome::failed);
    CHECK(ims.jobs.at(id).completions.at(0).error.contains("5 MiB"));
}

TEST_CASE_METHOD(Fixture, "a cancel reaches a running job through the parked poll", "[agent]") {
    handlers[JobKind::build] = [](JobContext& job) -> JobOutcome {
        job.log("working\n");
        until_stopped(job);
        return {.error = Error{Code::failed, "the tool was killed"}};
    };
    const auto agent = open();
    const auto id = ims.add();
    Running running(*agent, handlers);
    REQUIRE(ims.wait([&] { return ims.jobs.at(id).log == "working\n"; }));
    ims.change([&] { ims.jobs.at(id).cancel = true; });
    REQUIRE(ims.wait([&] { return !ims.jobs.at(id).completions.empty(); }));
    CHECK(ims.with([&] { return ims.jobs.at(id).completions[0].outcome; }) == Outcome::cancelled);
    CHECK(running.stop());
}

TEST_CASE_METHOD(Fixture, "a lost lease stops the attempt, which then writes nothing", "[agent]") {
    std::atomic<bool> stopped = false;
    handlers[JobKind::build] = [&stopped](JobContext& job) -> JobOutcome {
        job.log("working\n");
        while (!job.stop().stop_requested()) job.log(std::string(100, 'x') + "\n");
        job.log("after the end\n");
        stopped = true;
        return {};
    };
    const auto agent = open();
    const auto id = ims.add();
    Running running(*agent, handlers);
    REQUIRE(ims.wait([&] { return !ims.jobs.at(id).log.empty(); }));
    SECTION("told by the poll") {
        ims.change([&] { ims.jobs.at(id).lost = true; });
    }
    SECTION("told by a refused write") {
        ims.change([&] { ims.jobs.at(id).lease_lost = true; });
    }
    // The loop goes on, with the slot free again and the lease not listed.
    REQUIRE(ims.wait([&] {
        return !ims.polls.empty() && ims.polls.back().running.empty() && ims.polls.back().slots == 2 &&
               stopped;
    }));
    CHECK(ims.with([&] { return ims.jobs.at(id).completions.empty(); }));
    CHECK_FALSE(ims.with([&] { return ims.jobs.at(id).log.contains("after the end"); }));
    CHECK(running.stop());
}

TEST_CASE_METHOD(Fixture, "a superseded session stops its jobs and ends", "[agent]") {
    handlers[JobKind::build] = [](JobContext& job) -> JobOutcome {
        until_stopped(job);
        return {};
    };
    const auto agent = open();
    const auto id = ims.add();
    Running running(*agent, handlers);
    REQUIRE(ims.wait([&] { return ims.jobs.at(id).starts == 1; }));
    ims.change([&] { ims.superseded = true; });
    const auto ended = running.join();
    REQUIRE_FALSE(ended);
    CHECK(ended.error().code == Code::session_superseded);
    CHECK(ims.jobs.at(id).completions.empty());
}

TEST_CASE_METHOD(Fixture, "an agent that the IMS does not know any more ends and says what to do",
                 "[agent]") {
    const auto agent = open();
    ims.with([&] { ims.key.reset(); });
    const auto ended = agent->run(handlers, {});
    REQUIRE_FALSE(ended);
    CHECK(ended.error().code == Code::unauthenticated);
    CHECK(ended.error().hint.contains("agent.json"));
}

TEST_CASE_METHOD(Fixture, "an outage is sat out, and nothing of a running job is lost", "[agent]") {
    std::atomic<bool> go_on = false;
    handlers[JobKind::build] = [&go_on](JobContext& job) -> JobOutcome {
        job.log("before\n");
        while (!go_on) std::this_thread::sleep_for(1ms);
        job.log("during\n");
        return {};
    };
    ims.cadence.renew_s = 1;
    const auto agent = open();
    const auto id = ims.add();
    Running running(*agent, handlers);
    REQUIRE(ims.wait([&] { return ims.jobs.at(id).log == "before\n"; }));
    ims.with([&] { ims.down = true; });
    go_on = true;
    std::this_thread::sleep_for(1500ms); // the poll fails, and the log and the end wait
    CHECK(ims.with([&] { return ims.jobs.at(id).log; }) == "before\n");
    // A page of a proxy is not the IMS's opinion on the agent.
    ims.with([&] {
        ims.faults.push_back({"/poll", net::Response::text(404, "no upstream"), false});
        ims.down = false;
    });
    REQUIRE(ims.wait([&] { return !ims.jobs.at(id).completions.empty(); }));
    CHECK(ims.with([&] { return ims.jobs.at(id).log; }) == "before\nduring\n");
    CHECK(running.stop());
}

TEST_CASE_METHOD(Fixture, "polls that are sent away at once are not repeated at once", "[agent]") {
    const auto agent = open();
    ims.fault("/poll", net::Response::empty(204), false, 5);
    Running running(*agent, handlers);
    REQUIRE(ims.wait([&] { return ims.faults.size() < 5; }));
    std::this_thread::sleep_for(900ms); // each pause is half a second at least
    CHECK(ims.with([&] { return ims.faults.size(); }) >= 2);
    CHECK(running.stop());
}

TEST_CASE_METHOD(Fixture, "slots are what is free, and a freed one is offered at once", "[agent]") {
    std::atomic<int> running_now = 0, most = 0;
    handlers[JobKind::build] = [&](JobContext&) -> JobOutcome {
        const int now = ++running_now;
        for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
        }
        std::this_thread::sleep_for(30ms);
        --running_now;
        return {};
    };
    const auto agent = open();
    std::vector<JobId> ids;
    for (int i = 0; i < 7; ++i) ids.push_back(ims.add());
    Running running(*agent, handlers);
    REQUIRE(ims.wait([&] {
        return std::ranges::all_of(ids, [&](const auto& id) { return !ims.jobs.at(id).completions.empty(); });
    }));
    CHECK(most == 2);
    REQUIRE(ims.wait([&] { return ims.polls.back().slots == 2; }));
    CHECK(running.stop());
    for (const auto& poll : ims.polls) {
        CHECK(poll.slots + static_cast<int>(poll.running.size()) <= 2);
        if (!poll.running.empty()) CHECK(poll.wait_s <= 15); // the parked poll is the renewal
    }
}

TEST_CASE_METHOD(Fixture, "on stop a running job is stopped and its lease given back", "[agent]") {
    handlers[JobKind::build] = [](JobContext& job) -> JobOutcome {
        job.log("working\n");
        until_stopped(job);
        return {.error = Error{Code::cancelled, "stopped"}};
    };
    const auto agent = open();
    const auto id = ims.add();
    Running running(*agent, handlers);
    REQUIRE(ims.wait([&] { return ims.jobs.at(id).log == "working\n"; }));
    CHECK(running.stop());
    CHECK(ims.jobs.at(id).completions.at(0).outcome == Outcome::given_back);
    CHECK(ims.polls.back().slots == 0); // the farewell: nothing runs here
    CHECK(ims.polls.back().running.empty());
    CHECK(ims.polls.back().leaving);
    CHECK(std::ranges::count_if(ims.polls, [](const auto& poll) { return poll.leaving; }) == 1);
}

TEST_CASE_METHOD(Fixture, "stopping an idle agent does not wait for its parked poll", "[agent]") {
    const auto agent = open();
    Running running(*agent, handlers);
    REQUIRE(ims.wait([&] { return ims.polls.size() == 2; }));
    const auto before = std::chrono::steady_clock::now();
    CHECK(running.stop());
    CHECK(std::chrono::steady_clock::now() - before < 5s);
}

TEST_CASE_METHOD(Fixture, "a pull token belongs to the job and is redacted", "[agent]") {
    handlers[JobKind::apply] = [](JobContext& job) -> JobOutcome {
        CHECK(job.access_token().error().code ==
              Code::permission_denied); // an install agent has no use for it
        const auto token = job.pull_token();
        REQUIRE(token);
        job.log("got " + token->password + "\n");
        return {.error = {}, .result = {{"repository", token->repository}}};
    };
    const auto id = ims.add(JobKind::apply);
    auto with = options(protocol::AgentKind::install);
    with.once = true;
    REQUIRE(open(with)->run(handlers, {}));
    CHECK(ims.jobs.at(id).log == "got (redacted)\n");
    CHECK(ims.jobs.at(id).completions.at(0).result.at("repository") == "shop/web");
}

TEST_CASE_METHOD(Fixture, "a URL given later is remembered once the IMS has answered there", "[agent]") {
    open();
    auto moved = options();
    moved.ims = ims.url() + "/"; // the same server, written otherwise
    moved.once = true;
    REQUIRE(write_file_atomic(data.path() / "agent.json", std::string_view([&] {
                                  auto text = *read_file(data.path() / "agent.json");
                                  return text.replace(text.find(ims.url()), ims.url().size(),
                                                      "http://127.0.0.1:1");
                              }()),
                              0600));
    REQUIRE(open(moved)->run(handlers, {}));
    moved.ims.clear();
    CHECK(open(moved)->identity().ims_url == ims.url());
}

TEST_CASE_METHOD(Fixture, "what a crashed process left behind is cleaned up and not listed", "[agent]") {
    open();
    const auto job = JobId::make(SystemClock().now()).str();
    REQUIRE(make_directories(data.path() / "jobs"));
    REQUIRE(make_directories(data.path() / "scratch" / (job + "-1")));
    REQUIRE(write_file_atomic(data.path() / "jobs" / (job + ".json"),
                              std::string_view("{\"job\":\"" + job +
                                               "\",\"epoch\":1,\"attempt\":1,\"kind\":\"build\","
                                               "\"started_at\":\"2026-01-31T12:00:00.000Z\"}")));
    REQUIRE(once(*this));
    CHECK(ims.polls.front().running.empty());
    CHECK_FALSE(std::filesystem::exists(data.path() / "scratch" / (job + "-1")));
    CHECK_FALSE(std::filesystem::exists(data.path() / "jobs" / (job + ".json")));
}
