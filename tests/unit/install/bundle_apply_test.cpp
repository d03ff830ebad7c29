#include "bundle.hpp"

using namespace consign;
using namespace consign::install;
using namespace consign::install::test;

using Steps = std::vector<std::string>;

TEST_CASE(
    "a bundle is deployed, updated, rolled back when it is not healthy, and torn down without a trace") {
    Site site;
    const auto first = site.apply(Bundle("1.0"));
    INFO(first.message() << "\n" << first.log);
    REQUIRE_FALSE(first.error);
    CHECK(first.steps == Steps{"sync", "verify", "prepare", "provision", "switch", "health"});
    CHECK(first.result.active_release == "1.0");
    CHECK(first.result.changed);
    CHECK(site.current_version() == "1.0");
    CHECK(first.log.contains("web | serving 1.0\n"));
    const auto pid_1_0 = site.pid();

    const auto second = site.apply(Bundle("1.1"));
    REQUIRE_FALSE(second.error);
    CHECK(second.steps == Steps{"sync", "verify", "prepare", "update", "switch", "health"});
    CHECK(site.current_version() == "1.1");
    CHECK_FALSE(lives(pid_1_0));

    const auto third = site.apply(Bundle("1.2", false));
    REQUIRE(third.error);
    CHECK(third.error->code == Code::failed);
    CHECK(third.error->message == "health check of web 1.2 failed: './check' ended with exit code 1: not "
                                  "today (after 1 s); rolled back to 1.1");
    CHECK(third.result.rolled_back);
    CHECK(third.result.active_release == "1.1");
    CHECK(third.result.active == second.result.active);
    CHECK(site.current_version() == "1.1");
    CHECK(site.supervisor->status("web").running);
    CHECK(site.history() == "provision 1.0\nupdate 1.1\nupdate 1.2\n");
    CHECK(site.release_directories() == 2); // the active one and the one before
    CHECK_FALSE(load_state(site.paths).value()->candidate);

    const auto pid = site.pid();
    auto teardown =
        site.context(json::encode(protocol::TeardownSpec{.install = InstallId::make(Time(Millis(1))),
                                                         .install_name = "acme",
                                                         .app = "shop",
                                                         .component = "web"}));
    CHECK_FALSE(site.jobs->teardown(teardown).error);
    CHECK(teardown.text.contains("teardown ran\n"));
    CHECK(teardown.steps == Steps{"teardown", "stop", "remove"});
    CHECK_FALSE(lives(pid));
    CHECK(fs::is_empty(components_directory(site.data)));
    CHECK_FALSE(site.jobs->teardown(teardown).error); // again

    const auto anew = site.apply(Bundle("1.0"));
    CHECK_FALSE(anew.error);
    CHECK(site.history() == "provision 1.0\n");
}

TEST_CASE("the same deploy again changes nothing and restarts nothing") {
    Site site;
    const auto spec = site.publish(Bundle("1.0"));
    REQUIRE_FALSE(site.apply(spec).error);
    const auto pid = site.pid();
    const auto again = site.apply(spec);
    CHECK_FALSE(again.error);
    CHECK_FALSE(again.result.changed);
    CHECK(site.pid() == pid);

    // A release that only has another name for the same thing, too.
    auto renamed = spec;
    renamed.release = "1.0.1";
    const auto relabelled = site.apply(renamed);
    CHECK_FALSE(relabelled.result.changed);
    CHECK(relabelled.result.active_release == "1.0.1");
    CHECK(load_state(site.paths).value()->active->version == "1.0.1");
    CHECK(site.pid() == pid);

    // Another value of an input that the component reads is another thing.
    auto other = spec;
    other.inputs["greeting"] = "moin";
    CHECK(site.apply(other).result.changed);
    CHECK(site.pid() != pid);
}

TEST_CASE("a release that is active but down is started again by a deploy of it") {
    Site site;
    const auto spec = site.publish(Bundle("1.0"));
    REQUIRE_FALSE(site.apply(spec).error);
    REQUIRE(site.supervisor->stop("web"));
    const auto again = site.apply(spec);
    CHECK_FALSE(again.error);
    CHECK(again.result.changed);
    CHECK(site.supervisor->status("web").running);
}

TEST_CASE("a failing command leaves the old release running untouched") {
    Site site;
    REQUIRE_FALSE(site.apply(Bundle("1.0")).error);
    const auto pid = site.pid();
    Bundle broken("1.1");
    broken.files["update"] = "#!/bin/sh\necho cannot migrate\nexit 4\n";
    const auto failed = site.apply(broken);
    REQUIRE(failed.error);
    CHECK(failed.error->message == "'./update' ended with exit code 4; 1.0 runs on");
    CHECK(failed.log.contains("cannot migrate\n"));
    CHECK_FALSE(failed.result.rolled_back);
    CHECK(failed.result.active_release == "1.0");
    CHECK(site.pid() == pid);
    CHECK(site.current_version() == "1.0");
}

TEST_CASE("a service that keeps ending is not healthy, whatever the probe says") {
    Site site;
    REQUIRE_FALSE(site.apply(Bundle("1.0")).error);
    Bundle crashing("1.1");
    crashing.files["serve"] = "#!/bin/sh\necho no port\nexit 7\n";
    const auto failed = site.apply(crashing);
    REQUIRE(failed.error);
    CHECK(failed.error->message.contains("the service ended"));
    CHECK(failed.error->message.contains("exit code 7"));
    CHECK(failed.log.contains("web | no port\n"));
    CHECK(failed.result.rolled_back);
    CHECK(site.current_version() == "1.0");

    Bundle missing("1.2");
    missing.run.service = {"./no-such-file"};
    const auto absent = site.apply(missing);
    REQUIRE(absent.error);
    CHECK(
        absent.error->message ==
        "cannot start web 1.2: cannot run './no-such-file': the bundle has no such file; rolled back to 1.0");
    CHECK(site.supervisor->status("web").running);
}

TEST_CASE("a first release that is not healthy is stopped, for there is nothing to go back to") {
    Site site;
    const auto failed = site.apply(Bundle("1.0", false));
    REQUIRE(failed.error);
    CHECK(failed.error->message.ends_with("; there was no release to roll back to, so it was stopped"));
    CHECK(failed.result.active_release.empty());
    CHECK_FALSE(failed.result.rolled_back);
    CHECK_FALSE(site.supervisor->status("web").running);
    CHECK_FALSE(fs::exists(fs::symlink_status(site.paths.current())));
    CHECK_FALSE(site.apply(Bundle("1.1")).error);
}

TEST_CASE("a cancel during the health check goes back to the release before") {
    Site site;
    REQUIRE_FALSE(site.apply(Bundle("1.0")).error);
    Bundle slow("1.1", false);
    slow.run.health->within_s = 3600;
    auto job = site.context(json::encode(site.publish(slow)));
    job.on_log = [&job](std::string_view text) {
        if (text.contains("not yet healthy")) job.stop_source.request_stop();
    };
    const auto cancelled = site.apply(job);
    REQUIRE(cancelled.error);
    CHECK(cancelled.error->code == Code::cancelled);
    CHECK(cancelled.result.rolled_back);
    CHECK(site.current_version() == "1.0");
    CHECK(site.supervisor->status("web").running);
}

TEST_CASE("a bundle without a service is only switched") {
    Site site;
    Bundle files("1.0");
    files.run.service.clear();
    files.run.health.reset();
    REQUIRE_FALSE(site.apply(files).error);
    CHECK(site.current_version() == "1.0");
    CHECK_FALSE(site.supervisor->status("web").running);
    Bundle newer("1.1");
    REQUIRE_FALSE(site.apply(newer).error);
    CHECK(site.supervisor->status("web").running);
    const auto pid = site.pid();
    REQUIRE_FALSE(site.apply(files).error); // and back: the service goes
    CHECK_FALSE(lives(pid));
    CHECK(site.current_version() == "1.0");
}

TEST_CASE("the agent's restart keeps the service, or brings it back") {
    Site site;
    const auto spec = site.publish(Bundle("1.0"));
    REQUIRE_FALSE(site.apply(spec).error);
    const auto pid = site.pid();
    site.stop_agent();
    CHECK(lives(pid));
    site.start_agent();
    CHECK(site.pid() == pid);
    CHECK_FALSE(site.apply(spec).result.changed);

    site.stop_agent();
    ::kill(-pid, SIGKILL);
    REQUIRE(eventually([&] { return !lives(pid); }));
    site.start_agent();
    CHECK(site.supervisor->status("web").running);
    CHECK(site.pid() != pid);
}

TEST_CASE("killed between switch and health: the repeated job goes on from there") {
    Site site;
    REQUIRE_FALSE(site.apply(Bundle("1.0")).error);
    const auto spec = site.publish(Bundle("1.1"));
    REQUIRE_FALSE(site.apply(spec).error);
    // As the kill would have left it: 1.1 runs and is not confirmed.
    auto state = load_state(site.paths).value().value();
    state.candidate = std::exchange(state.active, state.previous);
    state.previous.reset();
    site.stop_agent();
    REQUIRE(save_state(site.paths, state));
    const auto pid = read_service_record(site.paths)->pid;

    site.start_agent();
    CHECK(site.pid() == pid); // alive, so the job decides
    const auto repeated = site.apply(spec);
    CHECK_FALSE(repeated.error);
    CHECK(repeated.steps == Steps{"sync", "verify", "prepare", "switch", "health"});
    CHECK(repeated.result.active_release == "1.1");
    CHECK(site.pid() == pid);
    CHECK(load_state(site.paths).value()->previous->version == "1.0");
}

TEST_CASE("an unconfirmed release that died with the machine gives way to the confirmed one") {
    Site site;
    REQUIRE_FALSE(site.apply(Bundle("1.0")).error);
    REQUIRE_FALSE(site.apply(Bundle("1.1")).error);
    auto state = load_state(site.paths).value().value();
    state.candidate = std::exchange(state.active, state.previous);
    state.previous.reset();
    const auto pid = site.pid();
    site.stop_agent();
    REQUIRE(save_state(site.paths, state));
    ::kill(-pid, SIGKILL);
    REQUIRE(eventually([&] { return !lives(pid); }));

    site.start_agent();
    CHECK(site.current_version() == "1.0");
    CHECK(site.supervisor->status("web").running);
    CHECK_FALSE(load_state(site.paths).value()->candidate);
}

TEST_CASE("a candidate whose directory is gone is not taken for what is unpacked under its name") {
    Site site;
    REQUIRE_FALSE(site.apply(Bundle("1.0")).error);
    auto spec = site.publish(Bundle("1.1"));
    REQUIRE_FALSE(site.apply(spec).error);
    // As a disk leaves it that was full while the way back was written down.
    auto state = load_state(site.paths).value().value();
    state.candidate = std::exchange(state.active, state.previous);
    state.previous.reset();
    const auto directory = state.candidate->directory;
    REQUIRE(save_state(site.paths, state));
    fs::remove_all(site.paths.release(directory));
    fs::remove(site.paths.releases() / (directory + ".json"));

    spec.inputs["greeting"] = "moin";
    const auto other = site.apply(spec);
    INFO(other.message() << "\n" << other.log);
    CHECK_FALSE(other.error);
    CHECK(other.steps == Steps{"sync", "verify", "prepare", "update", "switch", "health"});
}

TEST_CASE("commands that a killed agent left running are ended before they are repeated") {
    Site site;
    REQUIRE_FALSE(site.apply(Bundle("1.0")).error);
    auto lock = try_lock(site.paths.command_lock());
    REQUIRE(lock);
    REQUIRE(*lock);
    // Deaf to SIGTERM, with a child that holds the lock as well.
    auto orphan = Subprocess::spawn({.argv = {"sh", "-c", "sleep 60 & wait"},
                                     .environment = minimal_environment(),
                                     .held_open = (*lock)->get()});
    REQUIRE(orphan);
    lock->reset();
    REQUIRE(eventually([&] { return lock_holders(site.paths.command_lock()).size() == 2; }));

    const auto next = site.apply(Bundle("1.1"));
    CHECK_FALSE(next.error);
    CHECK(next.log.contains("commands of an attempt that was cut short still run: ending them\n"));
    CHECK(lock_holders(site.paths.command_lock()).empty());
    CHECK(orphan->wait(std::chrono::seconds(5)));
}

TEST_CASE("another release than the interrupted one: that is undone first") {
    Site site;
    REQUIRE_FALSE(site.apply(Bundle("1.0")).error);
    REQUIRE_FALSE(site.apply(Bundle("1.1")).error);
    auto state = load_state(site.paths).value().value();
    state.candidate = std::exchange(state.active, state.previous);
    state.previous.reset();
    REQUIRE(save_state(site.paths, state));

    Bundle broken("1.2");
    broken.files["update"] = "#!/bin/sh\nexit 1\n";
    const auto failed = site.apply(broken);
    REQUIRE(failed.error);
    CHECK(failed.log.contains("an earlier deploy of 1.1 was interrupted: undoing it"));
    CHECK(site.current_version() == "1.0");
    CHECK(failed.result.active_release == "1.0");
}

TEST_CASE(
    "a component's processes see the inputs that it names, where it names them, and nothing of the agent's") {
    ::setenv("CONSIGN_ENROLL", "cet_of_the_agent", 1);
    Site site;
    Bundle bundle("1.0");
    bundle.inputs["password"] = "hunter2";
    bundle.files["provision"] = "#!/bin/sh\nenv > \"$DATA/provision.env\"\n";
    bundle.files["serve"] = "#!/bin/sh\nenv > \"$DATA/serve.env\"\nexec sleep 1000\n";
    const auto applied = site.apply(bundle);
    ::unsetenv("CONSIGN_ENROLL");
    INFO(applied.message());
    REQUIRE_FALSE(applied.error);
    for (const auto* file : {"provision.env", "serve.env"}) {
        CAPTURE(file);
        REQUIRE(eventually([&] { return get(site.paths.data() / file).contains("GREETING=hello\n"); }));
        const auto seen = get(site.paths.data() / file);
        CHECK_FALSE(seen.contains("hunter2"));
        CHECK_FALSE(seen.contains("cet_of_the_agent"));
    }
    CHECK_FALSE(get(site.paths.state()).contains("hunter2"));
}
