#include "install/state.hpp"
#include "support.hpp"

using namespace consign;
using namespace consign::install;
using namespace consign::install::test;

namespace {
ReleaseState release(std::string version) {
    ReleaseState out;
    out.version = std::move(version);
    out.artifact = {"shop/web", Digest::sha256_of(out.version)};
    out.directory = out.version + "-abc";
    out.run.service = {"./serve", "secret"};
    out.run.environment = {{"A", "b"}};
    out.run.health =
        model::HealthProbe{.http = "http://127.0.0.1:1/", .tcp = {}, .command = {}, .within_s = 3};
    return out;
}
} // namespace

TEST_CASE("a component's state comes back as it was written, readable by its owner only") {
    const auto directory = scratch();
    const auto paths = paths_of(directory.path(), "web");
    CHECK_FALSE(load_state(paths).value().has_value());

    ComponentState state;
    state.active = release("1.0");
    state.candidate = release("1.1");
    REQUIRE(save_state(paths, state));
    struct stat status{};
    REQUIRE(::stat(paths.state().c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);

    const auto read = load_state(paths);
    REQUIRE(read);
    REQUIRE(*read);
    CHECK(json::encode(**read) == json::encode(state));
    CHECK_FALSE((*read)->previous);
    CHECK(result_of(**read).active_release == "1.0");
    CHECK(result_of(ComponentState{}).active == std::nullopt);
}

TEST_CASE("a damaged state and one of a newer version are told apart") {
    const auto directory = scratch();
    const auto paths = paths_of(directory.path(), "web");
    put(paths.state(), "{\"format\": 1, \"type\": ");
    CHECK(load_state(paths).error().code == Code::corrupt);
    put(paths.state(), R"({"format": 2, "type": 7})");
    CHECK(load_state(paths).error().code == Code::unsupported);
    CHECK(load_state(paths).error().message.contains("newer version"));
}
