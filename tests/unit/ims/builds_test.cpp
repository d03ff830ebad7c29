#include "ims/builds.hpp"
#include "shop.hpp"

using namespace consign;
using namespace consign::ims;
using model::JobState;
using protocol::Outcome;

namespace {
struct Yard : Fixture {
    protocol::ArtifactRef web{"shop/web/source", Digest::sha256_of("web tree")};
    protocol::ArtifactRef db{"shop/db/source", Digest::sha256_of("db tree")};

    Yard() {
        REQUIRE(change([](Change& c) { return apps::apply(c, shop_config(), "", "ann"); }));
    }
    auto create(protocol::CreateBuildsRequest request) {
        return change([&](Change& c) { return builds::create(c, request, "http://here", "ann"); });
    }
    protocol::BuildView view(const BuildId& id) {
        return *read([&](store::Connection& c) { return builds::get(c, id); });
    }
    protocol::BuildView one() {
        auto made = create({.app = "shop", .components = {"web"}, .sources = {{"web", web}}});
        REQUIRE(made);
        REQUIRE(made->size() == 1);
        return made->front();
    }
    std::size_t total() {
        return read([](store::Connection& c) { return builds::list(c, ""); })->size();
    }
};
} // namespace

TEST_CASE("a build per component is queued, with all that its agent needs", "[builds]") {
    Yard yard;
    const auto made = yard.create({.app = "shop", .sources = {{"web", yard.web}, {"db", yard.db}}});
    REQUIRE(made);
    REQUIRE(made->size() == 2);
    CHECK(yard.effects.wake[Pool{}] == 2);
    for (const auto& build : *made) {
        CHECK(build.state == JobState::queued);
        REQUIRE(build.job);
        const auto spec = json::decode_text<protocol::BuildSpec>(yard.job(*build.job).spec);
        REQUIRE(spec);
        CHECK(spec->build == build.id);
        CHECK(spec->component.name == build.component);
        CHECK(spec->config_version == 1);
        CHECK(spec->registry == "http://here");
        CHECK(spec->repository == "shop/" + build.component);
        CHECK(spec->source->digest == (build.component == "web" ? yard.web : yard.db).digest);
    }
}

TEST_CASE("a request for builds that cannot be is refused whole", "[builds]") {
    Yard yard;
    struct Row {
        protocol::CreateBuildsRequest request;
        Code code;
        std::string hint;
    };
    const std::vector<Row> rows{
        {{.app = "shpo"}, Code::not_found, "app list"},
        {{.app = "shop", .components = {"web", "wbe"}, .sources = {{"web", yard.web}}},
         Code::not_found,
         "'web'"},
        {{.app = "shop", .components = {"zzzzzz"}}, Code::not_found, "app show"},
        {{.app = "shop", .components = {"web"}}, Code::invalid_argument, "--source"},
        {{.app = "shop", .sources = {{"web", yard.web}}}, Code::invalid_argument, "--source"}, // db has none
    };
    for (const auto& row : rows) {
        const auto refused = yard.create(row.request);
        REQUIRE_FALSE(refused);
        CAPTURE(refused.error().message, refused.error().hint);
        CHECK(refused.error().code == row.code);
        CHECK(refused.error().hint.find(row.hint) != std::string::npos);
    }
    CHECK(yard.total() == 0);
    CHECK(yard.claim(5).empty());
}

TEST_CASE("a build follows its job", "[builds]") {
    Yard yard;
    const auto build = yard.one();
    const auto digest = Digest::sha256_of("artifact");
    SECTION("to its success") {
        yard.run_one({}, Outcome::succeeded,
                     json::encode(protocol::BuildResult{.digest = digest, .media_type = "x", .size = 1}));
        const auto done = yard.view(build.id);
        CHECK(done.state == JobState::succeeded);
        REQUIRE(done.artifact);
        CHECK(done.artifact->digest == digest);
        CHECK(done.artifact->repository == "shop/web");
        CHECK(done.finished_at == yard.clock.now());
    }
    SECTION("to its failure") {
        yard.run_one({}, Outcome::failed);
        CHECK(yard.view(build.id).state == JobState::failed);
        CHECK(yard.view(build.id).error == "it broke");
        CHECK_FALSE(yard.view(build.id).artifact);
    }
    SECTION("to a success that names no artifact, which is none") {
        yard.run_one({}, Outcome::succeeded, {{"digest", "nonsense"}});
        CHECK(yard.view(build.id).state == JobState::failed);
        CHECK(yard.view(build.id).error.find("digest") != std::string::npos);
        CHECK_FALSE(yard.view(build.id).artifact);
    }
    SECTION("on its way") {
        yard.claim();
        CHECK(yard.view(build.id).state == JobState::leased);
        REQUIRE(yard.change([&](Change& c) { return jobs::cancel(c, *build.job, "ann"); }));
        REQUIRE(yard.complete(*build.job, 1, Outcome::cancelled));
        CHECK(yard.view(build.id).state == JobState::cancelled);
    }
}

TEST_CASE("trying again is a new build of the same source", "[builds]") {
    Yard yard;
    const auto build = yard.one();
    yard.run_one({}, Outcome::failed);
    const auto again = yard.change([&](Change& c) { return builds::retry(c, yard.job(*build.job)); });
    REQUIRE(again);
    CHECK(*again != *build.job);
    const auto views = *yard.read([](store::Connection& c) { return builds::list(c, "shop"); });
    REQUIRE(views.size() == 2);
    CHECK(views.front().id != build.id); // the newest first
    CHECK(views.front().source->digest == yard.web.digest);
    CHECK(views.front().state == JobState::queued);
    CHECK(yard.view(build.id).state == JobState::failed); // what ended stays so
}

TEST_CASE("a build that ran elsewhere is recorded as it ended", "[builds]") {
    Yard yard;
    const auto record = [&](protocol::RecordBuildRequest request) {
        return yard.change([&](Change& c) { return builds::record(c, request, "ci"); });
    };
    const protocol::BuildResult result{.digest = Digest::sha256_of("artifact")};
    const auto good = record({.app = "shop", .component = "web", .config_version = 1, .result = result});
    REQUIRE(good);
    CHECK(good->state == JobState::succeeded);
    CHECK_FALSE(good->job);
    CHECK(good->artifact->repository == "shop/web");
    const auto bad = record({.app = "shop",
                             .component = "web",
                             .config_version = 1,
                             .outcome = Outcome::failed,
                             .error = "no disk"});
    REQUIRE(bad);
    CHECK(bad->state == JobState::failed);
    CHECK(bad->error == "no disk");

    struct Row {
        protocol::RecordBuildRequest request;
        Code code;
    };
    const std::vector<Row> rows{
        {{.app = "none", .component = "web", .config_version = 1, .result = result}, Code::not_found},
        {{.app = "shop", .component = "none", .config_version = 1, .result = result}, Code::not_found},
        {{.app = "shop", .component = "web", .config_version = 1}, Code::invalid_argument},
        {{.app = "shop",
          .component = "web",
          .config_version = 1,
          .outcome = Outcome::failed,
          .result = result},
         Code::invalid_argument},
        {{.app = "shop", .component = "web", .config_version = 0, .result = result}, Code::invalid_argument},
        {{.app = "shop", .component = "web", .config_version = 2, .result = result}, Code::invalid_argument},
    };
    for (const auto& row : rows) {
        const auto refused = record(row.request);
        REQUIRE_FALSE(refused);
        CAPTURE(refused.error().message);
        CHECK(refused.error().code == row.code);
    }
    CHECK(yard.total() == 2);
}

TEST_CASE("builds are listed by app, and what is not there is not found", "[builds]") {
    Yard yard;
    yard.one();
    CHECK(yard.read([](store::Connection& c) { return builds::list(c, "shop"); })->size() == 1);
    CHECK(yard.read([](store::Connection& c) { return builds::list(c, "none"); }).error().code ==
          Code::not_found);
    CHECK(yard.read([&](store::Connection& c) { return builds::get(c, BuildId::make(yard.clock.now())); })
              .error()
              .code == Code::not_found);
}
