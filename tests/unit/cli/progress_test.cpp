#include "cli/progress.hpp"
#include <catch2/catch.hpp>
#include <sstream>

using namespace consign;
using namespace consign::cli;
using model::JobState;

namespace {

const auto kNow = SystemClock().now();

protocol::JobView job(const std::string& component, JobState state) {
    return {
        .id = JobId::make(kNow), .app = "shop", .component = component, .state = state, .created_at = kNow};
}

struct Screen {
    std::ostringstream out, err;
    std::unique_ptr<Progress> progress;
    explicit Screen(bool terminal)
        : progress(make_progress(
              {.out = &out, .err = &err, .out_terminal = terminal, .err_terminal = terminal}, "a deploy")) {}
};

} // namespace

TEST_CASE("away from a terminal each change is one line, and the time is not a change") {
    Screen screen(false);
    Snapshot snapshot{.jobs = {job("web", JobState::queued)}};
    snapshot.jobs[0].waiting_for = protocol::WaitingFor{.what = "agent acme was last seen 3 min ago", .hint = ""};
    screen.progress->show(snapshot);
    snapshot.jobs[0].waiting_for = protocol::WaitingFor{.what = "agent acme was last seen 4 min ago", .hint = ""};
    screen.progress->show(snapshot);
    snapshot.jobs[0].waiting_for.reset();
    snapshot.jobs[0].state = JobState::running;
    screen.progress->show(snapshot);
    screen.progress->show(snapshot);
    screen.progress->finish();
    CHECK(screen.err.str() ==
          "a deploy\nshop/web: queued, waits: agent acme was last seen 3 min ago\nshop/web: running\n");
}

TEST_CASE("what the deploy waits for is not said twice") {
    Screen screen(false);
    Snapshot snapshot{.jobs = {job("web", JobState::queued)}};
    snapshot.jobs[0].waiting_for = protocol::WaitingFor{.what = "an agent", .hint = "start it"};
    snapshot.waiting_for = protocol::WaitingFor{.what = "an agent", .hint = "start it"};
    screen.progress->show(snapshot);
    snapshot.waiting_for = protocol::WaitingFor{.what = "an approval", .hint = "give it"};
    screen.progress->show(snapshot);
    CHECK(screen.err.str() ==
          "a deploy\nshop/web: queued, waits: an agent (start it)\nwaits: an approval (give it)\n");
}

TEST_CASE("on a terminal the block is drawn over, and foreign text cannot break out of it") {
    Screen screen(true);
    Snapshot snapshot{.jobs = {job("web", JobState::running), job("db", JobState::failed)}};
    snapshot.jobs[1].error = "bad\x1b[2J\nnews";
    screen.progress->show(snapshot);
    screen.progress->show(snapshot);
    screen.progress->finish();
    const auto drawn = screen.err.str();
    CHECK(drawn.find("\x1b[3A\r\x1b[J") != std::string::npos); // title and two jobs
    CHECK(drawn.ends_with("a deploy\n  shop/web  running\n  shop/db   failed: bad[2J news\n"));
    CHECK(drawn.find("\x1b[2J") == std::string::npos);
}

TEST_CASE("a deploy of more jobs than the terminal has rows shows what matters") {
    Screen screen(true);
    Snapshot snapshot;
    for (int i = 0; i < 40; ++i)
        snapshot.jobs.push_back(job("done" + std::to_string(i), JobState::succeeded));
    snapshot.jobs.push_back(job("late", JobState::running));
    screen.progress->show(snapshot);
    screen.progress->finish();
    CHECK(screen.err.str().ends_with("a deploy\n  shop/late  running\n  … and 40 more\n"));
}

TEST_CASE("a job's status has its step, its attempt and its reason") {
    auto view = job("web", JobState::running);
    view.attempt = 2;
    view.steps = {{.attempt = 1, .seq = 1, .name = "old"},
                  {.attempt = 2, .seq = 1, .name = "health", .detail = "3 of 5"}};
    CHECK(status_of(view) == "running (attempt 2 of 3): health (3 of 5)");
    view.cancel_requested = true;
    CHECK(status_of(view) == "running (attempt 2 of 3), cancel requested: health (3 of 5)");
    view.state = JobState::failed;
    view.error = "it broke";
    CHECK(status_of(view) == "failed (attempt 2 of 3): it broke");
}
