// kill -9 at random moments. The victim is this program again, running one of the hidden cases below on a
// directory that the killer chose; services that it starts survive it, as they would an agent.
#include "bundle.hpp"
#include "consign/base/random.hpp"
#include <algorithm>
#include <cstdlib>
#include <fcntl.h>

using namespace consign;
using namespace consign::install;
using namespace consign::install::test;

namespace {

constexpr const char* kWhere = "CONSIGN_CRASH_TEST_DIRECTORY";

/// Runs the hidden case until it has said "go", then `delay` longer, then kills it.
void run_and_kill(const std::string& test, const fs::path& directory, std::chrono::milliseconds delay) {
    auto environment = minimal_environment();
    environment[kWhere] = directory.string();
    fs::remove(directory / "go");
    const auto output = open_file("/dev/null", O_WRONLY);
    REQUIRE(output);
    auto victim = Subprocess::spawn(
        {.argv = {"/proc/self/exe", test}, .directory = ".", .environment = environment}, output->get());
    REQUIRE(victim);
    REQUIRE(eventually([&] { return fs::exists(directory / "go") || victim->wait(0ms).has_value(); }));
    (void)victim->wait(delay);
    victim->signal_group(SIGKILL);
    (void)victim->wait(10s);
}

std::chrono::milliseconds up_to(int limit_ms) {
    return std::chrono::milliseconds(static_cast<int>(random_unit() * limit_ms));
}

std::vector<pid_t> living(const fs::path& pids_file) {
    std::vector<pid_t> out;
    std::istringstream lines(get(pids_file));
    for (pid_t pid = 0; lines >> pid;)
        if (lives(pid)) out.push_back(pid);
    return out;
}

ServiceSpec service(const fs::path& home, std::string release) {
    return {.release = std::move(release),
            .command = {.argv = {"/bin/sh", "-c", "echo $$ >> pids; exec sleep 1000"},
                        .directory = home,
                        .environment = minimal_environment()}};
}

} // namespace

TEST_CASE("victim: supervises until killed", "[.]") {
    const fs::path components = std::getenv(kWhere);
    const auto supervisor = Supervisor::start(components, {.grace = 1s, .first_restart = 1ms});
    REQUIRE(supervisor);
    put(components / "go", "");
    for (int i = 0;; ++i) {
        (void)(*supervisor)->run("web", service(components / "web", std::to_string(i % 3)));
        if (i % 2 == 0) (void)(*supervisor)->stop("web");
    }
}

TEST_CASE("a supervisor killed at any moment leaves no service that the next one does not know of") {
    const auto directory = scratch();
    const Reaper reaper{directory.path()};
    const ComponentPaths paths{directory.path() / "web"};
    fs::create_directories(paths.home);
    for (int round = 0; round < 8; ++round) {
        run_and_kill("victim: supervises until killed", directory.path(), up_to(40));
        const auto supervisor = Supervisor::start(directory.path(), {.grace = 1s});
        REQUIRE(supervisor);
        REQUIRE((*supervisor)->run("web", service(paths.home, std::to_string(round % 3))));
        CAPTURE(round);
        // The script may not have come to its first line yet; or what was adopted had just been told to end,
        // and is started again.
        REQUIRE(eventually([&] {
            const std::vector<pid_t> one{(*supervisor)->status("web").pid};
            return living(paths.home / "pids") == one && lock_holders(paths.service_lock()) == one;
        }));
        if (round % 2 == 0) REQUIRE((*supervisor)->stop("web"));
    }
}

TEST_CASE("victim: deploys until killed", "[.]") {
    const fs::path directory = std::getenv(kWhere);
    Site site(directory / "data");
    const auto specs = {site.publish(Bundle("1.0")), site.publish(Bundle("1.1")),
                        site.publish(Bundle("1.2", false))};
    put(directory / "go", "");
    for (;;)
        for (const auto& spec : specs) (void)site.apply(spec);
}

TEST_CASE("an agent killed at any moment of a deploy can go on from there") {
    const auto directory = scratch();
    const Reaper reaper{components_directory(directory.path() / "data")};
    for (int round = 0; round < 6; ++round) {
        CAPTURE(round);
        run_and_kill("victim: deploys until killed", directory.path(), up_to(3000));
        Site site(directory.path() / "data");
        const auto state = load_state(site.paths);
        REQUIRE(state);
        if (*state && (*state)->active && !(*state)->candidate) {
            CHECK(site.current_version() == (*state)->active->version);
            CHECK(site.supervisor->status("web").running);
        }
        const auto bundle = Bundle(round % 2 == 0 ? "1.1" : "1.0");
        const auto applied = site.apply(bundle);
        INFO(applied.message() << "\n" << applied.log);
        REQUIRE_FALSE(applied.error);
        CHECK(site.current_version() == bundle.version);
        CHECK(
            eventually([&] { return living(site.paths.data() / "pids") == std::vector<pid_t>{site.pid()}; }));
        CHECK_FALSE(load_state(site.paths).value()->candidate);
        CHECK(site.release_directories() <= 2);
    }
}
