#include "consign/base/subprocess.hpp"
#include <catch2/catch.hpp>
#include <csignal>
#include <fcntl.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

using namespace consign;
using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

namespace {

Command shell(std::string script) {
    return {
        .argv = {"/bin/sh", "-c", std::move(script)}, .directory = ".", .environment = minimal_environment()};
}

struct Outcome {
    Result<ExitStatus> status;
    std::string output;
    std::chrono::milliseconds took;
};
Outcome run_shell(std::string script, RunLimits limits = {}, std::stop_token stop = {}) {
    std::string output;
    const auto start = Steady::now();
    auto status =
        run(shell(std::move(script)), [&](std::string_view piece) { output += piece; }, stop, limits);
    return {std::move(status), output,
            std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now() - start)};
}

/// A killed process may take a moment to die; a zombie that nobody reaps counts as gone.
bool goes_away(pid_t pid) {
    for (int i = 0; i < 200; ++i) {
        const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat");
        if (!stat || stat->find(") Z ") != std::string::npos) return true;
        std::this_thread::sleep_for(10ms);
    }
    return false;
}

pid_t last_number(const std::string& text) { return std::stoi(text.substr(text.find_last_of(' ') + 1)); }

} // namespace

TEST_CASE("exit codes, signals and output come back") {
    const auto good = run_shell("echo out; echo err >&2");
    REQUIRE(good.status);
    CHECK(good.status->ok());
    CHECK(good.output == "out\nerr\n");

    const auto bad = run_shell("exit 3");
    CHECK_FALSE(bad.status->ok());
    CHECK(bad.status->describe() == "exit code 3");

    const auto killed = run_shell("kill -9 $$");
    CHECK(killed.status->signal == SIGKILL);
    CHECK(killed.status->describe() == "signal 9 (Killed)");
}

TEST_CASE("large output is handed over whole") {
    const auto outcome = run_shell("head -c 3000000 /dev/zero");
    REQUIRE(outcome.status);
    CHECK(outcome.output.size() == 3'000'000);
    CHECK(run(shell("echo ignored"), nullptr)->ok());
}

TEST_CASE("a child gets its environment and directory and nothing else") {
    const auto directory = TemporaryDirectory::make("subprocess").value();
    ::setenv("CONSIGN_TEST_SECRET", "inherited", 1);
    const Fd leaked(::open("/dev/null", O_RDONLY)); // without O_CLOEXEC
    auto command = shell("echo $A $CONSIGN_TEST_SECRET; pwd -P; ls /proc/self/fd | wc -l; cat; trap");
    command.environment["A"] = "given";
    command.directory = directory.path();
    std::string output;
    const auto status = run(command, [&](std::string_view piece) { output += piece; });
    ::unsetenv("CONSIGN_TEST_SECRET");
    REQUIRE(status);
    // 0, 1, 2 and the one `ls` reads the directory with; stdin is at its end at once.
    CHECK(output == "given\n" + std::filesystem::canonical(directory.path()).string() + "\n4\n");
}

TEST_CASE("a child starts with default signal dispositions and an empty mask") {
    struct sigaction ignore{}, before{};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGTERM, &ignore, &before);
    sigset_t block, mask;
    ::sigemptyset(&block);
    ::sigaddset(&block, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &block, &mask);
    const auto outcome = run_shell("kill -TERM $$; echo survived");
    ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
    ::sigaction(SIGTERM, &before, nullptr);
    CHECK(outcome.status->signal == SIGTERM);
    CHECK(outcome.output.empty());
}

TEST_CASE("what cannot be started says why") {
    const auto directory = TemporaryDirectory::make("subprocess").value();
    REQUIRE(write_file_atomic(directory.path() / "plain", "#!/bin/sh\n", 0644));
    REQUIRE(write_file_atomic(directory.path() / "orphan", "#!/never/there\n", 0755));
    REQUIRE(write_file_atomic(directory.path() / "garbage", "\x01\x02garbage", 0755));
    struct Row {
        std::string program;
        Code code;
        std::string part;
    };
    const Row rows[] = {
        {"no-such-program", Code::not_found, "in PATH"},
        {"/never/there", Code::not_found, "there is no such file"},
        {"./plain", Code::permission_denied, "may not be executed"},
        {"plain", Code::permission_denied, "may not be executed"},
        {"./orphan", Code::not_found, "interpreter"},
        {"./garbage", Code::permission_denied, "not a program"},
        {directory.path().string(), Code::permission_denied, "may not be executed"},
        {"", Code::invalid_argument, "empty"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.program);
        const auto child = Subprocess::spawn({.argv = {row.program},
                                              .directory = directory.path(),
                                              .environment = {{"PATH", directory.path().string()}}});
        REQUIRE_FALSE(child);
        CHECK(child.error().code == row.code);
        CHECK(child.error().message.find(row.part) != std::string::npos);
    }
    const auto nowhere =
        Subprocess::spawn({.argv = {"/bin/true"}, .directory = "/never/there", .environment = {}});
    CHECK(nowhere.error().code == Code::not_found);
    CHECK(nowhere.error().message.find("/never/there") != std::string::npos);
    CHECK_FALSE(Subprocess::spawn({}));
    CHECK_FALSE(Subprocess::spawn({.argv = {"/bin/true"}, .directory = ".", .environment = {{"A=B", "c"}}}));
    CHECK_FALSE(Subprocess::spawn(
        {.argv = {"/bin/true", std::string("a\0b", 3)}, .directory = ".", .environment = {}}));
}

TEST_CASE("a program is looked up in the PATH of the command, else of this process") {
    const auto directory = TemporaryDirectory::make("subprocess").value();
    REQUIRE(write_file_atomic(directory.path() / "tool", "#!/bin/sh\nexit 7\n", 0755));
    Command command{.argv = {"tool"}, .directory = directory.path(), .environment = {}};
    command.environment["PATH"] = "/never/there:" + directory.path().string();
    CHECK(run(command, nullptr)->code == 7);
    command.environment["PATH"] = ":."; // would run what lies in the working directory
    CHECK(run(command, nullptr).error().code == Code::not_found);
    command.environment.clear();
    CHECK(run(command, nullptr).error().code == Code::not_found);
    command.argv = {"true"};
    CHECK(run(command, nullptr)->ok());
}

TEST_CASE("a timeout kills the whole group, grandchildren included") {
    // The grandchild ignores SIGTERM and holds the pipe.
    const auto outcome =
        run_shell("(trap '' TERM; sleep 60) & echo child $!; wait", {.timeout = 300ms, .grace = 300ms});
    REQUIRE_FALSE(outcome.status);
    CHECK(outcome.status.error().code == Code::timed_out);
    CHECK(outcome.took >= 300ms);
    CHECK(outcome.took < 10s);
    CHECK(goes_away(last_number(outcome.output)));
}

TEST_CASE("a program that ends on SIGTERM has its grace, also behind a wrapper that dies at once") {
    const auto outcome = run_shell("sh -c 'trap \"sleep 0.3; echo cleaned up; exit\" TERM; echo ready; while "
                                   ":; do sleep 0.05; done' & wait",
                                   {.timeout = 500ms, .grace = 20s});
    CHECK(outcome.status.error().code == Code::timed_out);
    CHECK(outcome.output.starts_with("ready\n"));
    CHECK(outcome.output.ends_with("cleaned up\n")); // the shell may report its killed `sleep` before
    CHECK(outcome.took < 15s);
}

TEST_CASE("SIGTERM ignored: SIGKILL comes after the grace") {
    const auto outcome =
        run_shell("trap '' TERM; while :; do sleep 0.05; done", {.timeout = 100ms, .grace = 200ms});
    CHECK(outcome.status.error().code == Code::timed_out);
    CHECK(outcome.took >= 300ms);
    CHECK(outcome.took < 10s);
}

TEST_CASE("children left over by a program that ended are killed") {
    const auto outcome = run_shell("sleep 60 & echo child $!");
    REQUIRE(outcome.status);
    CHECK(outcome.status->ok());
    CHECK(outcome.took < 10s);
    CHECK(goes_away(last_number(outcome.output)));
}

TEST_CASE("a grandchild that left the group and keeps the pipe open does not hold up run()") {
    const auto outcome = run_shell("setsid sh -c 'echo child $$; exec sleep 20' & sleep 0.5; exit 4");
    REQUIRE(outcome.status);
    CHECK(outcome.status->code == 4);
    CHECK(outcome.took < 10s);
    ::kill(last_number(outcome.output), SIGKILL);
}

TEST_CASE("a stop token cancels, before and during the run") {
    std::stop_source early;
    early.request_stop();
    CHECK(run_shell("echo never", {}, early.get_token()).status.error().code == Code::cancelled);

    std::stop_source source;
    std::jthread stopper([&source] {
        std::this_thread::sleep_for(200ms);
        source.request_stop();
    });
    const auto outcome =
        run_shell("echo started; sleep 60", {.timeout = 50s, .grace = 10s}, source.get_token());
    REQUIRE_FALSE(outcome.status);
    CHECK(outcome.status.error().code == Code::cancelled);
    CHECK(outcome.output == "started\n");
    CHECK(outcome.took < 10s);
}

TEST_CASE("waiting for a child is bounded, and its end is remembered") {
    auto child = Subprocess::spawn(shell("sleep 0.3; exit 5")).value();
    CHECK_FALSE(child.wait(0ms));
    CHECK_FALSE(child.wait(20ms));
    const auto status = child.wait(20s);
    REQUIRE(status);
    CHECK(status->code == 5);
    CHECK(child.wait(0ms)->code == 5);
    child.signal_group(SIGKILL); // of nobody
}

TEST_CASE("the destructor ends the group, release() lets it live") {
    pid_t pid = 0;
    {
        const auto child = Subprocess::spawn(shell("sleep 60")).value();
        pid = child.pid();
        CHECK(::getpgid(pid) == pid);
    }
    CHECK(::kill(pid, 0) == -1);

    {
        auto child = Subprocess::spawn(shell("sleep 60")).value();
        Subprocess moved = std::move(child);
        pid = moved.release();
    }
    CHECK(::kill(pid, 0) == 0);
    ::kill(-pid, SIGKILL);
    CHECK(goes_away(pid));
}

TEST_CASE("output can be redirected to a descriptor") {
    const auto directory = TemporaryDirectory::make("subprocess").value();
    const auto path = directory.path() / "log";
    const Fd file = open_file(path, O_CREAT | O_WRONLY).value();
    auto child = Subprocess::spawn(shell("echo out; echo err >&2"), file.get()).value();
    CHECK(child.output_fd() == -1);
    REQUIRE(child.wait(20s));
    CHECK(read_file(path) == "out\nerr\n");
}
