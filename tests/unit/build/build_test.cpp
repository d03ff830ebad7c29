// Both ways to build, the daemon's job and CI mode, against a real registry and a small API.
#include "consign/artifact/component.hpp"
#include "consign/build/build.hpp"
#include "consign/protocol/naming.hpp"
#include "unit/oci/registry_site.hpp"
#include <sys/stat.h>

using namespace consign;
using namespace consign::build;
namespace fs = std::filesystem;

namespace {

model::Component component(std::string name, model::ComponentType type = model::ComponentType::bundle) {
    model::Component component{.name = std::move(name), .type = type};
    component.source.directory = "web";
    component.run.service = {"./serve"};
    return component;
}

struct Fixture {
    oci::testing::Site site;
    TemporaryDirectory directory = std::move(*TemporaryDirectory::make("build"));
    fs::path root = directory.path() / "root";

    Fixture() { make_tree(root); }
    static void make_tree(const fs::path& at) {
        REQUIRE(make_directories(at / "web" / "bin"));
        REQUIRE(write_file_atomic(at / "web" / "bin" / "serve", std::string_view("#!/bin/sh\n"), 0755));
        REQUIRE(write_file_atomic(at / "web" / "page.html", std::string_view("hello\n")));
    }
    artifact::ComponentManifest read(const std::string& repository, const Digest& digest) {
        auto remote = site.remote(repository);
        auto manifest = site.io.run(artifact::read_component(*remote, digest));
        if (!manifest) FAIL(to_string(manifest.error()));
        return std::move(*manifest);
    }
    static net::Async<Result<oci::Descriptor>> push_source(oci::Repository* target, net::BlockingPool* pool,
                                                           artifact::PackedLayer layer, std::string type) {
        co_return co_await artifact::push_component(*target, *pool, type, json::Value::object(),
                                                    std::move(layer), "");
    }
    protocol::ArtifactRef upload(const fs::path& tree, std::string_view type = artifact::kSourceType) {
        const auto layer = artifact::pack_directory(tree, directory.path() / "upload.tar.zst");
        REQUIRE(layer);
        const auto name = protocol::source_repository("shop", "web");
        const auto remote = site.remote(name);
        const auto pushed =
            site.io.run(push_source(remote.get(), &site.io.blocking(), *layer, std::string(type)));
        REQUIRE(pushed);
        return {name, pushed->digest};
    }
};

/// A job without an agent around it.
class FakeJob final : public agent::JobContext {
  public:
    FakeJob(oci::testing::Site& site, fs::path scratch, const protocol::BuildSpec& spec)
        : site_(site), scratch_(std::move(scratch)) {
        lease_.spec = json::encode(spec);
        REQUIRE(make_directories(scratch_));
    }
    const protocol::Lease& lease() const override { return lease_; }
    std::stop_token stop() const override { return stopper.get_token(); }
    void log(std::string_view text) override { logged += text; }
    void redact(std::string secret) override { secrets.push_back(std::move(secret)); }
    void begin_step(std::string_view name) override { steps.emplace_back(name); }
    void end_step(protocol::StepState, std::string_view) override {}
    Result<protocol::PullToken> pull_token() override { return fail(Code::unsupported, "not for builds"); }
    Result<std::string> access_token() override { return "secret"; }
    const net::Url& ims() const override { return ims_url; }
    net::IoThread& io() override { return site_.io; }
    net::Client& http() override { return *site_.client; }
    const fs::path& data() const override { return scratch_; }
    const fs::path& scratch() const override { return scratch_; }

    std::string logged;
    std::vector<std::string> steps, secrets;
    std::stop_source stopper;
    net::Url ims_url = net::Url::parse("http://127.0.0.1:8400").value();

  private:
    oci::testing::Site& site_;
    fs::path scratch_;
    protocol::Lease lease_;
};

protocol::BuildSpec spec_of(Fixture& test, std::optional<protocol::ArtifactRef> source) {
    return {.build = BuildId::make(SystemClock().now()),
            .app = "shop",
            .config_version = 1,
            .component = component("web"),
            .source = std::move(source),
            .registry = test.site.base(),
            .repository = "shop/web"};
}

agent::JobOutcome run_job(agent::JobContext& job) { return job_handlers().at(protocol::JobKind::build)(job); }

/// Just enough of the IMS for CI mode.
struct Api {
    protocol::AppView app{.id = AppId::make(SystemClock().now()),
                          .name = "shop",
                          .config_version = 3,
                          .updated_at = {},
                          .config = {}};
    std::string registry;
    std::vector<protocol::RecordBuildRequest>
        recorded; ///< on the server's thread; read when nothing is under way
    std::unique_ptr<net::Server> server;

    Api(std::string at, std::vector<model::Component> components) : registry(std::move(at)) {
        app.config.app = "shop";
        app.config.components = std::move(components);
        server = std::move(
            net::Server::bind({}, [this](net::Request& request) { return handle(this, request); }).value());
        server->start();
    }
    ~Api() { server->drain(std::chrono::seconds(1)); }
    BuildHere request(const fs::path& root) {
        return {.ims = "http://127.0.0.1:" + std::to_string(server->port()),
                .token = Secret<std::string>("user-token"),
                .app = "shop",
                .component = "",
                .source_root = root};
    }
    static net::Async<net::Response> handle(Api* self, net::Request& request) {
        if (request.headers.get("Authorization") != "Bearer user-token")
            co_return net::problem({Code::unauthenticated, "who?"});
        if (request.path == "/v1/apps/shop") co_return net::Response::json(200, json::to_text(self->app));
        if (request.path == "/v1/status")
            co_return net::Response::json(200,
                                          json::to_text(protocol::StatusView{.registry = self->registry}));
        if (request.path != "/v1/builds/record")
            co_return net::problem({Code::not_found, "no " + request.path});
        const auto body = co_await net::read_all(*request.body, 1u << 20);
        self->recorded.push_back(
            *json::decode_text<protocol::RecordBuildRequest>(*body, json::Unknown::refuse));
        const auto& last = self->recorded.back();
        protocol::BuildView view{.id = BuildId::make(SystemClock().now()),
                                 .app = last.app,
                                 .component = last.component,
                                 .config_version = last.config_version,
                                 .state = model::JobState::succeeded,
                                 .created_at = {}};
        if (last.result) view.artifact = protocol::ArtifactRef{"shop/" + last.component, last.result->digest};
        co_return net::Response::json(201, json::to_text(view));
    }
};

} // namespace

TEST_CASE_METHOD(Fixture, "an uploaded tree becomes an artifact in the vendor registry", "[build]") {
    const auto source = upload(root / "web");
    FakeJob job(site, directory.path() / "scratch", spec_of(*this, source));
    const auto outcome = run_job(job);
    if (outcome.error) FAIL(to_string(*outcome.error));
    CHECK(job.steps == std::vector<std::string>{"fetch source", "pack", "push"});

    const auto result = json::decode<protocol::BuildResult>(outcome.result);
    REQUIRE(result);
    CHECK(result->source_version == source.digest.str());
    CHECK(result->media_type == "application/vnd.consign.bundle.v1");
    const auto manifest = read("shop/web", result->digest);
    CHECK(manifest.component_type == "bundle");
    CHECK(manifest.layer.size == result->size);
    CHECK(manifest.config.at("app") == "shop");
    CHECK(manifest.config.at("component").at("run").at("service").at(0) == "./serve");
}

TEST_CASE_METHOD(Fixture, "the same source is the same digest, wherever and whenever it is built",
                 "[build]") {
    FakeJob job(site, directory.path() / "scratch", spec_of(*this, upload(root / "web")));
    const auto daemon = json::decode<protocol::BuildResult>(run_job(job).result);
    REQUIRE(daemon);

    const auto elsewhere = directory.path() / "elsewhere";
    const auto mask = ::umask(077);
    make_tree(elsewhere);
    ::umask(mask);
    fs::last_write_time(elsewhere / "web" / "page.html",
                        fs::file_time_type::clock::now() - std::chrono::hours(1000));
    Api api(site.base(), {component("web")});
    const auto views = build_here(api.request(elsewhere), {});
    if (!views) FAIL(to_string(views.error()));
    REQUIRE(views->size() == 1);
    CHECK(views->front().artifact->digest == daemon->digest);
    CHECK(api.recorded.front().config_version == 3);
    CHECK(api.recorded.front().outcome == protocol::Outcome::succeeded);
}

TEST_CASE_METHOD(Fixture, "a build that cannot be done fails with the reason, in the log too", "[build]") {
    auto spec = spec_of(*this, std::nullopt);
    std::string want;
    SECTION("no source was uploaded") { want = "none was uploaded"; }
    SECTION("a type this version does not build") {
        spec.component.type = model::ComponentType::helm_chart;
        want = "cannot build a helm_chart";
    }
    SECTION("an upload that is something else") {
        spec.source = upload(root / "web", "bundle");
        want = "not an uploaded source tree";
    }
    SECTION("an upload that is not there") {
        spec.source = protocol::ArtifactRef{"shop/web/source", Digest::sha256_of("nothing")};
        want = Digest::sha256_of("nothing").str();
    }
    FakeJob job(site, directory.path() / "scratch", spec);
    const auto outcome = run_job(job);
    REQUIRE(outcome.error);
    CHECK_THAT(outcome.error->message, Catch::Contains(want));
    CHECK_THAT(job.logged, Catch::Contains("failed: "));
}

TEST_CASE_METHOD(Fixture, "an IMS that is reached over https cannot have credentials sent out in the clear",
                 "[build]") {
    FakeJob job(site, directory.path() / "scratch", spec_of(*this, upload(root / "web")));
    job.ims_url = net::Url::parse("https://ims.example").value();
    const auto outcome = run_job(job);
    REQUIRE(outcome.error);
    CHECK(outcome.error->code == Code::permission_denied);
    CHECK(outcome.error->message.contains("without TLS, at " + site.base()));
}

TEST_CASE_METHOD(Fixture, "a stopped build ends as cancelled", "[build]") {
    FakeJob job(site, directory.path() / "scratch", spec_of(*this, upload(root / "web")));
    job.stopper.request_stop();
    const auto outcome = run_job(job);
    REQUIRE(outcome.error);
    CHECK(outcome.error->code == Code::cancelled);
}

TEST_CASE_METHOD(Fixture, "CI mode builds what was asked for, in order, and says where it is", "[build]") {
    Api api(site.base(), {component("db"), component("web")});
    auto request = api.request(root);
    std::vector<std::string> lines;
    request.log = [&](std::string_view line) { lines.emplace_back(line); };

    SECTION("all") {
        const auto views = build_here(request, {});
        if (!views) FAIL(to_string(views.error()));
        REQUIRE(views->size() == 2);
        CHECK(views->at(0).component == "db");
        CHECK(views->at(1).component == "web");
        CHECK(lines.front() == "db: fetch source");
        (void)read("shop/web", views->at(1).artifact->digest);
    }
    SECTION("one") {
        request.component = "web";
        const auto views = build_here(request, {});
        REQUIRE(views);
        REQUIRE(views->size() == 1);
        CHECK(api.recorded.size() == 1);
    }
    SECTION("one that is not there") {
        request.component = "wbe";
        const auto views = build_here(request, {});
        REQUIRE_FALSE(views);
        CHECK(views.error().code == Code::not_found);
        CHECK_THAT(views.error().hint, Catch::Contains("'web'"));
    }
    SECTION("a token nobody knows") {
        request.token = Secret<std::string>("guess");
        CHECK(build_here(request, {}).error().code == Code::unauthenticated);
    }
}

TEST_CASE_METHOD(Fixture, "a component that fails in CI mode is recorded as failed, and ends the run",
                 "[build]") {
    auto broken = component("broken");
    broken.source.directory = "nowhere";
    Api api(site.base(), {component("db"), broken, component("web")});
    const auto views = build_here(api.request(root), {});
    REQUIRE_FALSE(views);
    CHECK_THAT(views.error().message, Catch::Contains("shop/broken") && Catch::Contains("nowhere"));
    REQUIRE(api.recorded.size() == 2);
    CHECK(api.recorded[1].component == "broken");
    CHECK(api.recorded[1].outcome == protocol::Outcome::failed);
    CHECK_FALSE(api.recorded[1].result);
    CHECK_FALSE(api.recorded[1].error.empty());
}
