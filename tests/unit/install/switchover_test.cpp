#include "install/switchover.hpp"
#include "support.hpp"

using namespace consign;
using namespace consign::install;
using namespace consign::install::test;

namespace {

struct Fixture {
    TemporaryDirectory directory = scratch();
    Reaper reaper{directory.path()};
    ComponentPaths paths{directory.path() / "web"};
    std::unique_ptr<Supervisor> supervisor =
        Supervisor::start(directory.path(), {.grace = 2s, .first_restart = 20ms, .longest_restart = 100ms})
            .value();
    Switchover switchover{*supervisor, "web", paths};

    /// A release whose service is `service`; empty: it has none.
    ReleaseState release(const std::string& version, std::string service = "exec sleep 1000") const {
        fs::create_directories(paths.release(version));
        ReleaseState out{.version = version,
                         .artifact = {"shop/web", Digest::sha256_of(version)},
                         .directory = version,
                         .run = {}};
        if (!service.empty()) out.run.service = {"/bin/sh", "-c", std::move(service)};
        return out;
    }
    ReleaseState broken(const std::string& version) const {
        auto out = release(version);
        out.run.service = {"./not-there"};
        return out;
    }
    std::string current() const {
        std::error_code error;
        const auto target = fs::read_symlink(paths.current(), error);
        return error ? "" : target.string();
    }
    ServiceStatus status() const { return supervisor->status("web"); }
    ComponentState saved() const { return load_state(paths).value().value(); }
};

} // namespace

TEST_CASE_METHOD(Fixture, "activating a release points `current` at it and runs its service") {
    REQUIRE(switchover.activate(release("1.0")));
    CHECK(current() == "releases/1.0");
    CHECK(status().release == "1.0");
    const auto pid = status().pid;
    REQUIRE(switchover.activate(release("1.0"))); // again: what runs is left alone
    CHECK(status().pid == pid);

    REQUIRE(switchover.activate(release("1.1")));
    CHECK(current() == "releases/1.1");
    CHECK(status().release == "1.1");
    CHECK_FALSE(lives(pid));

    REQUIRE(switchover.activate(release("1.2", ""))); // a release without a service
    CHECK(current() == "releases/1.2");
    CHECK_FALSE(status().running);

    REQUIRE(switchover.deactivate());
    CHECK(current().empty());
    REQUIRE(switchover.deactivate());
}

TEST_CASE_METHOD(Fixture, "a service runs in its release's directory with the environment it declares") {
    auto declared = release("1.0", "echo \"$GREETING from $PWD\" > said; exec sleep 1000");
    declared.run.environment["GREETING"] = "hello";
    const auto spec = service_of(declared, paths);
    CHECK(spec.release == "1.0");
    CHECK(spec.command.directory == paths.release("1.0"));
    CHECK(spec.command.environment.at("GREETING") == "hello");
    CHECK(spec.command.environment.contains("PATH"));
    REQUIRE(switchover.activate(declared));
    const auto said = paths.release("1.0") / "said";
    CHECK(eventually([&] { return get(said) == "hello from " + paths.release("1.0").string() + "\n"; }));
}

TEST_CASE_METHOD(Fixture, "restoring gives the candidate up for the active release, durably") {
    ComponentState state{.active = release("1.0"), .candidate = release("1.1"), .previous = {}};
    REQUIRE(switchover.activate(*state.active));
    REQUIRE(switchover.activate(*state.candidate));
    REQUIRE(switchover.restore(state));
    CHECK(current() == "releases/1.0");
    CHECK(status().release == "1.0");
    CHECK_FALSE(state.candidate);
    CHECK_FALSE(saved().candidate);
    CHECK(saved().active->version == "1.0");
}

TEST_CASE_METHOD(Fixture, "restoring a first deploy leaves nothing running and nothing current") {
    ComponentState state{.active = {}, .candidate = release("1.0"), .previous = {}};
    REQUIRE(switchover.activate(*state.candidate));
    REQUIRE(switchover.restore(state));
    CHECK(current().empty());
    CHECK_FALSE(status().running);
    CHECK_FALSE(saved().candidate);
    CHECK_FALSE(saved().active);
}

TEST_CASE_METHOD(Fixture, "a candidate that cannot be started is an error, and the way back is open") {
    ComponentState state{.active = release("1.0"), .candidate = broken("1.1"), .previous = {}};
    REQUIRE(switchover.activate(*state.active));
    const auto failed = switchover.activate(*state.candidate);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == Code::not_found);
    REQUIRE(switchover.restore(state));
    CHECK(status().release == "1.0");
    CHECK(current() == "releases/1.0");
}

TEST_CASE_METHOD(Fixture, "the candidate is forgotten even when the active release cannot be started") {
    ComponentState state{.active = broken("1.0"), .candidate = release("1.1"), .previous = {}};
    REQUIRE(switchover.activate(*state.candidate));
    const auto restored = switchover.restore(state);
    REQUIRE_FALSE(restored);
    CHECK(restored.error().message.contains("./not-there"));
    CHECK_FALSE(saved().candidate);
    CHECK(current() == "releases/1.0"); // it is what should run, and goes on being tried
    put_script(paths.release("1.0") / "not-there", "exec sleep 1000\n");
    CHECK(eventually([&] { return status().release == "1.0"; }));
}
