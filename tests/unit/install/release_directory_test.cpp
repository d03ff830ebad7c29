#include "install/release_directory.hpp"
#include "support.hpp"

using namespace consign;
using namespace consign::install;
using namespace consign::install::test;

namespace {

protocol::ApplySpec apply_spec(std::string release = "1.0") {
    protocol::ApplySpec spec;
    spec.install_name = "acme";
    spec.app = "shop";
    spec.release = std::move(release);
    spec.component.name = "web";
    spec.component.run.templates = {"conf/web.conf"};
    spec.component.run.service = {"./serve", "--root", "{{ components.web.directory }}"};
    spec.inputs = {{"port", 8080.0}, {"unused", "x"}, {"password", "hunter2"}};
    spec.sensitive = {"password"};
    spec.artifact = {"shop/web", Digest::sha256_of("bytes")};
    return spec;
}

struct Fixture {
    TemporaryDirectory directory = scratch();
    ComponentPaths paths = paths_of(directory.path(), "web");
    std::string conf = "listen {{ inputs.port }};\nroot {{ components.web.directory }};\n";
    int unpacked = 0;

    Result<PreparedRelease> prepare(const protocol::ApplySpec& spec) {
        return prepare_release(paths, spec, make_scope(spec, directory.path(), "127.0.0.1:8500"),
                               [this](const fs::path& target) -> Result<void> {
                                   ++unpacked;
                                   put(target / "conf/web.conf", conf, 0644);
                                   return {};
                               });
    }
};

} // namespace

TEST_CASE("a release is unpacked and rendered into a directory of its own") {
    Fixture fixture;
    const auto made = fixture.prepare(apply_spec());
    REQUIRE(made);
    CHECK(made->name == "1.0-" + std::string(Digest::sha256_of("bytes").hex().substr(0, 12)));
    const auto root = fixture.paths.release(made->name);
    CHECK(get(root / "conf/web.conf") == "listen 8080;\nroot " + root.string() + ";\n");
    CHECK(made->run.service == model::Argv{"./serve", "--root", root.string()});
    CHECK(fs::is_directory(fixture.paths.data()));
    CHECK_FALSE(fs::exists(fixture.paths.releases() / ".unfinished"));
}

TEST_CASE("the same artifact rendered the same is one directory; other values make another") {
    Fixture fixture;
    const auto first = fixture.prepare(apply_spec());
    REQUIRE(first);
    const auto again = fixture.prepare(apply_spec());
    CHECK((again && again->reused && again->name == first->name));

    auto renamed = apply_spec("1.1");
    renamed.inputs["unused"] = "y"; // nothing reads it
    const auto same = fixture.prepare(renamed);
    CHECK((same && same->reused && same->name == first->name));
    CHECK(fixture.unpacked == 1);

    auto moved = apply_spec();
    moved.inputs["port"] = 9090;
    const auto other = fixture.prepare(moved);
    REQUIRE(other);
    CHECK(other->name == first->name + ".2");
    CHECK(get(fixture.paths.release(other->name) / "conf/web.conf").starts_with("listen 9090;"));
    CHECK(get(fixture.paths.release(first->name) / "conf/web.conf").starts_with("listen 8080;"));

    REQUIRE(keep_only(fixture.paths, {other->name}));
    CHECK_FALSE(fs::exists(fixture.paths.release(first->name)));
    CHECK(fs::exists(fixture.paths.release(other->name)));
    CHECK(fixture.prepare(moved)->reused);
}

TEST_CASE("what a crash left of a release is not taken for one") {
    Fixture fixture;
    const auto made = fixture.prepare(apply_spec());
    REQUIRE(made);
    // Killed between the rename and the description:
    fs::remove(fixture.paths.releases() / (made->name + ".json"));
    put(fixture.paths.release(made->name) / "half", "");
    put(fixture.paths.releases() / ".unfinished/rest", "");
    const auto again = fixture.prepare(apply_spec());
    REQUIRE(again);
    CHECK_FALSE(again->reused);
    CHECK(again->name == made->name);
    CHECK_FALSE(fs::exists(fixture.paths.release(made->name) / "half"));
    CHECK_FALSE(fs::exists(fixture.paths.releases() / ".unfinished"));
}

TEST_CASE("a template that cannot be rendered names file, line and path, and leaves nothing behind") {
    Fixture fixture;
    fixture.conf = "fine\n{{ inputs.prot }}\n";
    const auto made = fixture.prepare(apply_spec());
    REQUIRE_FALSE(made);
    CHECK(made.error().code == Code::invalid_argument);
    CHECK(made.error().message == "web: conf/web.conf: line 2: nothing is known by the path 'inputs.prot'");
    CHECK(fs::is_empty(fixture.paths.releases()));

    auto spec = apply_spec();
    fixture.conf = "";
    spec.component.run.service[1] = "{{ components.db.directory }}";
    CHECK(fixture.prepare(spec).error().message ==
          "web: run.service[1]: line 1: nothing is known by the path 'components.db.directory'");
}

TEST_CASE("templates outside the bundle are refused") {
    for (const auto* name : {"../other/state.json", "/etc/passwd", "conf/../../x", "", "conf", "missing"}) {
        CAPTURE(name);
        Fixture fixture;
        auto spec = apply_spec();
        spec.component.run.templates = {name};
        const auto made = fixture.prepare(spec);
        REQUIRE_FALSE(made);
        CHECK(made.error().code == Code::invalid_argument);
    }
}

TEST_CASE("a file that a secret went into is for its owner only") {
    Fixture fixture;
    fixture.conf = "password={{ inputs.password }}\n";
    const auto made = fixture.prepare(apply_spec());
    REQUIRE(made);
    struct stat status{};
    REQUIRE(::stat((fixture.paths.release(made->name) / "conf/web.conf").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("a version that is no file name stays inside the releases directory") {
    Fixture fixture;
    const auto made = fixture.prepare(apply_spec("../../x y"));
    REQUIRE(made);
    CHECK(made->name.starts_with("_._.._x_y-") == true);
    CHECK(fs::exists(fixture.paths.release(made->name) / "conf/web.conf"));
}
