#include "install/supervisor.hpp"
#include "support.hpp"
#include <algorithm>

using namespace consign;
using namespace consign::install;
using namespace consign::install::test;

namespace {

constexpr SupervisorOptions kQuick{.grace = 2s,
                                   .first_restart = 20ms,
                                   .longest_restart = 100ms,
                                   .healthy_after = 60s,
                                   .log_limit_bytes = 10u << 20};

struct Fixture {
    TemporaryDirectory directory = scratch();
    Reaper reaper{directory.path()};
    ComponentPaths paths{directory.path() / "web"};
    Fixture() { fs::create_directories(paths.home); }

    std::unique_ptr<Supervisor> supervisor(SupervisorOptions options = kQuick) const {
        auto made = Supervisor::start(directory.path(), options);
        REQUIRE(made);
        return std::move(*made);
    }
    ServiceSpec shell(std::string script, std::string release = "1.0-a") const {
        return {.release = std::move(release),
                .command = {.argv = {"/bin/sh", "-c", std::move(script)},
                            .directory = paths.home,
                            .environment = minimal_environment()}};
    }
    std::size_t starts() const { // of a service that writes a line to "starts" each time
        const auto text = get(paths.home / "starts");
        return static_cast<std::size_t>(std::ranges::count(text, '\n'));
    }
};

} // namespace

TEST_CASE("a service runs in a session of its own and writes its log itself") {
    Fixture fixture;
    const auto supervisor = fixture.supervisor();
    REQUIRE(supervisor->run("web", fixture.shell("echo hello; echo oops >&2; exec sleep 1000")));
    const auto status = supervisor->status("web");
    CHECK(status.running);
    CHECK(status.release == "1.0-a");
    CHECK(::getsid(status.pid) == status.pid);
    CHECK(eventually([&] { return get(fixture.paths.service_log()) == "hello\noops\n"; }));

    const auto record = read_service_record(fixture.paths);
    REQUIRE(record);
    CHECK(record->pid == status.pid);
    CHECK(is_alive(*record));
    CHECK(lock_holders(fixture.paths.service_lock()) == std::vector<pid_t>{status.pid});

    REQUIRE(supervisor->stop("web"));
    CHECK_FALSE(lives(status.pid));
    CHECK_FALSE(supervisor->status("web").running);
    CHECK(supervisor->stop("web")); // again is fine
    CHECK(supervisor->stop("never-heard-of"));
}

TEST_CASE("a service outlives its supervisor and is adopted by the next one, with the same pid") {
    Fixture fixture;
    const auto spec = fixture.shell("echo start >> starts; while :; do sleep 0.05; done");
    pid_t pid = -1;
    {
        const auto supervisor = fixture.supervisor();
        REQUIRE(supervisor->run("web", spec));
        pid = supervisor->status("web").pid;
        REQUIRE(eventually([&] { return fixture.starts() == 1; }));
    }
    REQUIRE(lives(pid));

    const auto next = fixture.supervisor();
    REQUIRE(next->run("web", spec));
    CHECK(next->status("web").pid == pid);
    CHECK(fixture.starts() == 1);
    // And it is watched: when it dies it is started again.
    ::kill(pid, SIGKILL);
    CHECK(eventually([&] { return fixture.starts() == 2; }));
    REQUIRE(next->stop("web"));
}

TEST_CASE("a service of another release than wanted is replaced, not joined") {
    Fixture fixture;
    pid_t old = -1;
    {
        const auto supervisor = fixture.supervisor();
        REQUIRE(supervisor->run("web", fixture.shell("exec sleep 1000", "1.0-a")));
        old = supervisor->status("web").pid;
    }
    const auto next = fixture.supervisor();
    REQUIRE(next->run("web", fixture.shell("exec sleep 1000", "1.1-b")));
    CHECK_FALSE(lives(old));
    CHECK(next->status("web").release == "1.1-b");
    REQUIRE(next->stop("web"));
}

TEST_CASE("a service whose pid record is lost is found by its lock and never doubled") {
    Fixture fixture;
    const auto spec = fixture.shell("echo $$ >> starts; exec sleep 1000");
    pid_t old = -1;
    {
        const auto supervisor = fixture.supervisor();
        REQUIRE(supervisor->run("web", spec));
        old = supervisor->status("web").pid;
    }
    fs::remove(fixture.paths.service_record());
    const auto next = fixture.supervisor();
    REQUIRE(next->run("web", spec));
    CHECK_FALSE(lives(old));
    const auto now = next->status("web").pid;
    CHECK(now != old);
    CHECK(lock_holders(fixture.paths.service_lock()) == std::vector<pid_t>{now});
    REQUIRE(next->stop("web"));
}

TEST_CASE("a record whose pid belongs to somebody else now is not believed") {
    Fixture fixture;
    put(fixture.paths.service_record(), boot_id() + " 1.0-a " + std::to_string(::getpid()) + " 1\n");
    const auto supervisor = fixture.supervisor();
    REQUIRE(supervisor->run("web", fixture.shell("exec sleep 1000")));
    CHECK(supervisor->status("web").pid != ::getpid());
    REQUIRE(supervisor->stop("web"));
}

TEST_CASE("a service that ends is started again, later each time") {
    Fixture fixture;
    const auto supervisor = fixture.supervisor();
    REQUIRE(supervisor->run("web", fixture.shell("echo start >> starts; exit 3")));
    CHECK(eventually([&] { return fixture.starts() >= 4; }));
    const auto status = supervisor->status("web");
    CHECK(status.exits >= 3);
    CHECK(status.last_exit == "exit code 3");
    REQUIRE(supervisor->stop("web"));
    const auto after = fixture.starts();
    std::this_thread::sleep_for(200ms);
    CHECK(fixture.starts() == after);

    const SupervisorOptions standard;
    CHECK(restart_delay(standard, 1) == 1s);
    CHECK(restart_delay(standard, 2) == 2s);
    CHECK(restart_delay(standard, 6) == 32s);
    CHECK(restart_delay(standard, 7) == 60s);
    CHECK(restart_delay(standard, 1000) == 60s);
}

TEST_CASE("stopping a service leaves no child of it, in its group or out of it") {
    Fixture fixture;
    const auto supervisor = fixture.supervisor();
    REQUIRE(supervisor->run(
        "web", fixture.shell("sh -c 'echo $$ > child; trap \"\" TERM; while :; do sleep 0.05; done' &\n"
                             "setsid sh -c 'echo $$ > stray; exec sleep 1000' &\n"
                             "wait")));
    const auto child = pid_in(fixture.paths.home / "child");
    const auto stray = pid_in(fixture.paths.home / "stray");
    REQUIRE(lives(child));
    REQUIRE(lives(stray));
    REQUIRE(supervisor->stop("web"));
    CHECK(eventually([&] { return !lives(child) && !lives(stray); }));
    CHECK(lock_holders(fixture.paths.service_lock()).empty());
}

TEST_CASE("a stranger who merely opened a service's lock file is not taken for a part of it") {
    Fixture fixture;
    const auto supervisor = fixture.supervisor();
    // The stray outlives its leader and asks for the lock's holders to be looked up.
    REQUIRE(supervisor->run("web", fixture.shell("setsid sh -c 'echo $$ > stray; exec sleep 1000' & wait")));
    const auto stray = pid_in(fixture.paths.home / "stray");
    Command reader{.argv = {"/bin/sh", "-c", "echo $$ > reader; exec sleep 1000 < \"$1\"", "sh",
                            fixture.paths.service_lock().string()},
                   .directory = fixture.paths.home,
                   .environment = minimal_environment()};
    auto stranger = Subprocess::spawn(std::move(reader));
    REQUIRE(stranger);
    const auto pid = pid_in(fixture.paths.home / "reader");
    REQUIRE(eventually([&] {
        std::error_code error;
        return fs::read_symlink("/proc/" + std::to_string(pid) + "/fd/0", error) ==
               fixture.paths.service_lock();
    }));
    CHECK(std::ranges::contains(lock_holders(fixture.paths.service_lock()), stray));
    CHECK_FALSE(std::ranges::contains(lock_holders(fixture.paths.service_lock()), pid));

    REQUIRE(supervisor->stop("web"));
    CHECK(eventually([&] { return !lives(stray); }));
    CHECK(lives(pid));
    ::kill(pid, SIGKILL);
}

TEST_CASE("what a crashed service leaves behind is gone before it is started again") {
    Fixture fixture;
    const auto supervisor = fixture.supervisor();
    REQUIRE(supervisor->run("web", fixture.shell("echo start >> starts\n"
                                                 "[ -e child ] && exec sleep 1000\n"
                                                 "sh -c 'echo $$ > child; exec sleep 1000' &\n"
                                                 "while [ ! -s child ]; do sleep 0.02; done; exit 1")));
    REQUIRE(eventually([&] { return fixture.starts() == 2; }));
    CHECK_FALSE(lives(pid_in(fixture.paths.home / "child")));
    REQUIRE(supervisor->stop("web"));
}

TEST_CASE("a service gets time to clean up, and is killed when it does not") {
    Fixture fixture;
    const auto supervisor = fixture.supervisor();
    REQUIRE(supervisor->run("web", fixture.shell("trap 'echo bye > farewell; exit 0' TERM; echo up > up\n"
                                                 "while :; do sleep 0.05; done")));
    REQUIRE(eventually([&] { return fs::exists(fixture.paths.home / "up"); }));
    REQUIRE(supervisor->stop("web"));
    CHECK(get(fixture.paths.home / "farewell") == "bye\n");

    REQUIRE(supervisor->run("web",
                            fixture.shell("trap '' TERM; echo deaf > deaf; while :; do sleep 0.05; done")));
    REQUIRE(eventually([&] { return fs::exists(fixture.paths.home / "deaf"); }));
    const auto pid = supervisor->status("web").pid;
    REQUIRE(supervisor->stop("web"));
    CHECK_FALSE(lives(pid));
}

TEST_CASE("a program that cannot be started is an error at once, and goes on being tried") {
    Fixture fixture;
    const auto supervisor = fixture.supervisor();
    ServiceSpec spec{.release = "1.0-a",
                     .command = {.argv = {"./serve"}, .directory = fixture.paths.home, .environment = {}}};
    const auto missing = supervisor->run("web", spec);
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == Code::not_found);
    CHECK(missing.error().message.contains("./serve"));

    put_script(fixture.paths.home / "serve", "exec sleep 1000\n");
    CHECK(eventually([&] { return supervisor->status("web").running; }));
    REQUIRE(supervisor->stop("web"));

    spec.command.argv = {"no-such-program-anywhere"};
    CHECK(supervisor->run("web", spec).error().code == Code::not_found);
    REQUIRE(supervisor->stop("web"));
}

TEST_CASE("several services, wanted from several threads") {
    Fixture fixture;
    const auto supervisor = fixture.supervisor();
    std::vector<std::thread> threads;
    std::atomic<int> good = 0;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&, i] {
            const auto name = "web" + std::to_string(i);
            std::error_code ignored;
            fs::create_directories(fixture.directory.path() / name, ignored);
            for (int round = 0; round < 3; ++round)
                if (supervisor->run(name, fixture.shell("exec sleep 1000")) &&
                    supervisor->status(name).running && supervisor->stop(name))
                    ++good;
        });
    for (auto& thread : threads) thread.join();
    CHECK(good == 12);
}
