// Waiting and following, against a fake IMS that plays a deploy step by step.
#include "fake_ims.hpp"

using namespace consign;
using namespace consign::cli;
using namespace consign::cli::test;
using model::JobState;

namespace {

const auto kNow = SystemClock().now();
const auto kDeploy = DeployId::make(kNow);
const auto kJob = JobId::make(kNow);
const auto kDeployPath = "GET /v1/deploys/" + kDeploy.str();
const auto kJobPath = "GET /v1/jobs/" + kJob.str();

JobView job(JobState state) {
    return {.id = kJob,
            .kind = JobKind::apply,
            .app = "shop",
            .component = "web",
            .install = "acme",
            .deploy = kDeploy,
            .state = state,
            .attempt = 1,
            .created_at = kNow};
}
DeployView deploy(DeployState state, JobView of) {
    return {.id = kDeploy,
            .install = "acme",
            .app = "shop",
            .release = "1.1",
            .state = state,
            .jobs = {std::move(of)},
            .created_at = kNow};
}
List<EventView> event(std::int64_t seq) {
    return {{{.seq = seq, .at = kNow, .kind = "job.changed", .job = kJob, .deploy = kDeploy}}};
}

/// From queued with nobody there, to running, to `last`.
void play(FakeIms& ims, DeployState end, JobView last) {
    auto queued = deploy(DeployState::queued, job(JobState::queued));
    queued.jobs[0].waiting_for = WaitingFor{.what = "agent acme was never seen", .hint = "consign install enroll acme"};
    ims.on("POST /v1/deploys", queued);
    ims.on(kDeployPath, queued);
    ims.on(kDeployPath, deploy(DeployState::running, job(JobState::running)));
    ims.on(kDeployPath, deploy(end, std::move(last)));
    auto running = job(JobState::running);
    running.steps = {{.attempt = 1, .seq = 1, .name = "start service", .started_at = kNow}};
    ims.on(kJobPath, running);
    for (int seq = 7; seq < 12; ++seq) ims.on("GET /v1/events", event(seq));
}

} // namespace

TEST_CASE("deploy --wait shows each change on a line and ends with the result") {
    FakeIms ims;
    play(ims, DeployState::succeeded, job(JobState::succeeded));
    const auto ran = run_against(ims, {"deploy", "acme", "--release", "1.1", "--wait"});
    CHECK(ran.code == 0);
    CHECK(ran.err ==
          "deploy of acme to 1.1\n"
          "shop/web @acme: queued, waits: agent acme was never seen (consign install enroll acme)\n"
          "shop/web @acme: running: start service\n"
          "shop/web @acme: succeeded\n");
    CHECK(ran.out.find("succeeded") != std::string::npos);
    CHECK(ims.was_called("GET /v1/events?after=7"));
}

TEST_CASE("a deploy that fails ends with 7, the reason and the end of the log") {
    FakeIms ims;
    auto failed = job(JobState::failed);
    failed.error = "health check failed";
    play(ims, DeployState::failed, failed);
    ims.on("GET /v1/jobs/" + kJob.str() + "/logs", net::Response::text(200, "one\ntwo\nthree"));
    ims.on("GET /v1/jobs/" + kJob.str() + "/logs", net::Response::text(200, ""));
    const auto ran = run_against(ims, {"deploy", "acme", "--wait", "-o", "json"});
    CHECK(ran.code == 7);
    CHECK(json::parse(ran.out).value()["state"] == "failed");
    CHECK(ran.err.find("shop/web @acme: failed: health check failed\n") != std::string::npos);
    CHECK(ran.err.find("  | one\n  | two\n  | three\n") != std::string::npos);
    CHECK(ran.err.find("consign: deploy of acme to 1.1 failed\n") != std::string::npos);
}

TEST_CASE("waiting outlives an IMS that is away for a moment") {
    FakeIms ims;
    ims.on("POST /v1/deploys", deploy(DeployState::queued, job(JobState::queued)));
    ims.on(kDeployPath, net::problem({Code::unavailable, "draining", ""}));
    ims.on(kDeployPath, deploy(DeployState::succeeded, job(JobState::succeeded)));
    const auto ran = run_against(ims, {"deploy", "acme", "--wait"});
    CHECK(ran.code == 0);
    CHECK(ran.err.find("lost the IMS, trying again") != std::string::npos);
}

TEST_CASE("waiting gives up at once where patience does not help") {
    FakeIms ims;
    ims.on("POST /v1/deploys", deploy(DeployState::queued, job(JobState::queued)));
    CHECK(run_against(ims, {"deploy", "acme", "--wait"}).code == 3);
}

TEST_CASE("without --wait the deploy is printed, with what it waits for") {
    FakeIms ims;
    play(ims, DeployState::succeeded, job(JobState::succeeded));
    const auto ran = run_against(ims, {"teardown", "acme"});
    CHECK(ran.code == 0);
    CHECK(ran.out.find("agent acme was never seen") != std::string::npos);
    CHECK(ran.err == "see how it goes: consign deploy show " + kDeploy.str() + "\n");
    CHECK(ims.was_called(
        "POST /v1/deploys "
        R"({"component":"","install":"acme","kind":"teardown","priority":0,"release":"","require_approval":false})"));
}

TEST_CASE("logs -f reads on until the job has ended, and to its last byte") {
    FakeIms ims;
    const auto logs = "GET /v1/jobs/" + kJob.str() + "/logs";
    ims.on(logs, net::Response::text(200, "one\n"));
    ims.on(logs, net::Response::text(200, "")); // the wait ran out
    ims.on(logs, net::Response::text(200, "two\n"));
    ims.on(logs, net::Response::text(200, ""));
    ims.on(logs, net::Response::text(200, "three\n")); // written just before the end
    ims.on(logs, net::Response::text(200, ""));
    ims.on(kJobPath, job(JobState::running));
    ims.on(kJobPath, job(JobState::succeeded));
    const auto ran = run_against(ims, {"logs", kJob.str(), "-f"});
    CHECK(ran.code == 0);
    CHECK(ran.out == "one\ntwo\nthree\n");
    CHECK(ims.was_called(logs + "?offset=4&wait=50"));
    CHECK(ims.was_called(logs + "?offset=14&wait=0"));
}

TEST_CASE("logs as JSON carry their offset, one object per line") {
    FakeIms ims;
    const auto logs = "GET /v1/jobs/" + kJob.str() + "/logs";
    ims.on(logs, net::Response::text(200, "one\n"));
    ims.on(logs, net::Response::text(200, ""));
    CHECK(run_against(ims, {"logs", kJob.str(), "-o", "json"}).out == "{\"offset\":0,\"text\":\"one\\n\"}\n");
}
