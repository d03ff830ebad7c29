#include "install/render.hpp"
#include "support.hpp"
#include <algorithm>

using namespace consign;
using namespace consign::install;
using namespace consign::install::test;

TEST_CASE("a template sees inputs, the install, the release, its artifact and its dependencies") {
    const auto directory = scratch();
    protocol::ApplySpec spec;
    spec.install = InstallId::make(Time(Millis(1)));
    spec.install_name = "acme";
    spec.release = "1.0";
    spec.component.name = "web";
    spec.inputs = {{"port", 8080}, {"list", json::Value::array({1, "a"})}};
    spec.artifact = {"shop/web", Digest::sha256_of("web")};
    spec.dependencies = {{"db", {"shop/db", Digest::sha256_of("db")}},
                         {"gone", {"shop/gone", Digest::sha256_of("x")}}};
    const auto db = paths_of(directory.path(), "db");
    fs::create_directories(db.release("1"));
    fs::create_directory_symlink("releases/1", db.current());

    const auto scope = make_scope(spec, directory.path(), "127.0.0.1:8500");
    const auto lookup = scope.lookup();
    CHECK(lookup("inputs.port") == "8080");
    CHECK(lookup("inputs.list") == "[1,\"a\"]");
    CHECK(lookup("install.name") == "acme");
    CHECK(lookup("install.id") == spec.install.str());
    CHECK(lookup("install.data") == (directory.path() / "components/web/data").string());
    CHECK(lookup("release.version") == "1.0");
    CHECK(lookup("components.web.artifact.digest") == spec.artifact.digest.str());
    CHECK(lookup("components.db.artifact.reference") ==
          "127.0.0.1:8500/shop/db@" + Digest::sha256_of("db").str());
    CHECK(lookup("components.db.directory") == db.current().string());
    CHECK_FALSE(lookup("components.gone.directory")); // not deployed here
    CHECK_FALSE(lookup("inputs.nothing"));
}

TEST_CASE("every text of a run is rendered") {
    Scope scope;
    scope.component = "web";
    scope.values = {{"a", "1"}};
    model::BundleRun run;
    run.provision = run.update = run.teardown = {{"x", "{{ a }}"}};
    run.service = {"{{ a }}"};
    run.environment = {{"N", "{{ a }}"}};
    run.health =
        model::HealthProbe{.http = "h{{ a }}", .tcp = "t{{ a }}", .command = {"c{{ a }}"}, .within_s = 1};
    const auto out = render_run(run, scope);
    REQUIRE(out);
    CHECK_FALSE(json::to_text(*out).contains("{{"));
    CHECK(*out->health->tcp == "t1");

    run.environment["N"] = "{{ b }}";
    CHECK(render_run(run, scope).error().message ==
          "web: run.environment.N: line 1: nothing is known by the path 'b'");
}

TEST_CASE("secrets are found inside lists and line by line") {
    protocol::ApplySpec spec;
    spec.inputs = {
        {"key", "line-1\nline-2\n"}, {"map", {{"user", "u-name"}, {"on", true}}}, {"open", "public"}};
    spec.sensitive = {"key", "map", "undeclared"};
    const auto secrets = secrets_of(spec);
    const auto has = [&](std::string_view text) { return std::ranges::find(secrets, text) != secrets.end(); };
    CHECK(has("line-1\nline-2\n"));
    CHECK(has("line-2"));
    CHECK(has("u-name"));
    CHECK_FALSE(has("true"));
    CHECK_FALSE(has("public"));
}
