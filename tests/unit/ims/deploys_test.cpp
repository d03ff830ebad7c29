#include "fixture.hpp"
#include "ims/builds.hpp"
#include "ims/deploys.hpp"

using namespace consign;
using namespace consign::ims;
using model::JobState;
using protocol::DeployState;
using protocol::Outcome;

namespace {

/// An app of db ← api ← web and a lone `docs`, built, released as 1 and 2, with one install.
struct Shop : Fixture {
    InstallId install;

    Shop() {
        model::AppConfig config{.app = "shop"};
        config.inputs["port"] = {.type = model::InputType::number};
        for (const auto& [name, needs] : std::vector<std::pair<std::string, std::vector<std::string>>>{
                 {"db", {}}, {"docs", {}}, {"api", {"db"}}, {"web", {"api"}}})
            config.components.push_back({.name = name, .source = {.directory = name}, .depends_on = needs});
        REQUIRE(change([&](Change& c) -> Result<void> {
            CONSIGN_CHECK(apps::apply(c, config, "", "ann"));
            for (const auto& component : config.components)
                CONSIGN_CHECK(builds::record(
                    c,
                    {.app = "shop",
                     .component = component.name,
                     .config_version = 1,
                     .result = protocol::BuildResult{.digest = Digest::sha256_of(component.name)}},
                    "ci"));
            CONSIGN_CHECK(apps::create_release(c, "shop", ""));
            CONSIGN_CHECK(apps::create_release(c, "shop", ""));
            CONSIGN_TRY(
                made, installs::create(c, {.name = "acme", .app = "shop", .inputs = {{"port", 80}}}, "ann"));
            install = made.id;
            return {};
        }));
    }
    DeployId deploy(protocol::CreateDeployRequest request) {
        request.install = "acme";
        auto id = change([&](Change& c) { return deploys::create(c, request, "ann"); });
        REQUIRE(id);
        return *id;
    }
    protocol::DeployView view(const DeployId& id) {
        return *read([&](store::Connection& c) { return deploys::get(c, id); });
    }
    std::string run_next(Outcome outcome = Outcome::succeeded, std::string active = "1") {
        return run_one(Pool{install}, outcome,
                       json::encode(protocol::ApplyResult{.active_release = std::move(active)}))
            .component;
    }
    JobState state_of(const DeployId& id, std::string_view component) {
        for (const auto& job : view(id).jobs)
            if (job.component == component) return job.state;
        FAIL("no job of " << component);
        return JobState::failed;
    }
};

} // namespace

TEST_CASE("a deploy runs in dependency order, independent components side by side", "[deploys]") {
    Shop shop;
    const auto id = shop.deploy({.release = "1"});
    CHECK(shop.effects.wake[Pool{shop.install}] == 2); // db and docs
    CHECK(shop.state_of(id, "api") == JobState::blocked);
    CHECK(shop.view(id).state == DeployState::running);

    std::set<std::string> first{shop.run_next(), shop.run_next()};
    CHECK(first == std::set<std::string>{"db", "docs"});
    CHECK(shop.run_next() == "api");
    CHECK(shop.view(id).state == DeployState::running);
    CHECK(shop.run_next() == "web");
    CHECK(shop.view(id).state == DeployState::succeeded);
    CHECK(shop.read([](store::Connection& c) { return installs::get(c, "acme"); })->release == "1");
}

TEST_CASE("a failed component skips what depends on it, and names itself", "[deploys]") {
    Shop shop;
    const auto id = shop.deploy({.release = "1"});
    CHECK(shop.run_next(Outcome::failed, "") == "db");
    CHECK(shop.state_of(id, "web") == JobState::skipped);
    CHECK(shop.view(id).state == DeployState::running); // docs goes on
    CHECK(shop.run_next() == "docs");
    CHECK(shop.view(id).state == DeployState::failed);
    CHECK(shop.view(id).error == "db: it broke");
    CHECK(shop.read([](store::Connection& c) { return installs::get(c, "acme"); })->release.empty());
}

TEST_CASE("deploys of one install take turns, and the one that waits says so", "[deploys]") {
    Shop shop;
    const auto first = shop.deploy({.release = "1", .component = "db"});
    const auto second = shop.deploy({.release = "2", .component = "db"});
    CHECK(shop.view(second).state == DeployState::queued);
    REQUIRE(shop.view(second).waiting_for);
    CHECK(shop.view(second).waiting_for->what.find(first.str()) != std::string::npos);
    shop.run_next();
    CHECK(shop.view(first).state == DeployState::succeeded);
    CHECK(shop.view(second).state == DeployState::running);
    CHECK(shop.state_of(second, "db") == JobState::queued);
}

TEST_CASE("a deploy whose waiting jobs are all cancelled ends, and the next one starts", "[deploys]") {
    Shop shop;
    shop.deploy({.release = "1", .component = "db"});
    const auto second = shop.deploy({.release = "2", .component = "db"});
    const auto third = shop.deploy({.release = "1", .component = "docs"});
    const auto job = shop.view(second).jobs.front().id;
    REQUIRE(shop.change([&](Change& c) { return jobs::cancel(c, job, "ann"); }));
    CHECK(shop.view(second).state == DeployState::cancelled);
    CHECK(shop.view(third).state == DeployState::queued); // the first still runs
    shop.run_next();
    CHECK(shop.view(third).state == DeployState::running);
}

TEST_CASE("a teardown goes the other way round, and only over what is there", "[deploys]") {
    Shop shop;
    shop.deploy({.release = "1"});
    for (int i = 0; i < 4; ++i) shop.run_next();
    const auto down = shop.deploy({.kind = protocol::DeployKind::teardown});
    std::vector<std::string> order;
    for (int i = 0; i < 4; ++i) order.push_back(shop.run_next(Outcome::succeeded, ""));
    const auto at = [&](std::string_view name) { return std::ranges::find(order, name) - order.begin(); };
    CHECK(at("web") < at("api"));
    CHECK(at("api") < at("db"));
    CHECK(shop.view(down).state == DeployState::succeeded);
    const auto again = shop.deploy({.kind = protocol::DeployKind::teardown});
    CHECK(shop.view(again).jobs.empty());
    CHECK(shop.view(again).state == DeployState::succeeded);
}

TEST_CASE("a teardown that waited takes down what the deploy before it brought", "[deploys]") {
    Shop shop;
    shop.deploy({.release = "1", .component = "db"});
    const auto down = shop.deploy({.kind = protocol::DeployKind::teardown});
    CHECK(shop.view(down).state == DeployState::queued);
    CHECK(shop.run_next() == "db");
    REQUIRE(shop.view(down).jobs.size() == 1);
    CHECK(shop.state_of(down, "db") == JobState::queued);
    CHECK(shop.run_next(Outcome::succeeded, "") == "db");
    CHECK(shop.view(down).state == DeployState::succeeded);
}

TEST_CASE("a teardown that waited and finds nothing ends, and lets the next deploy start", "[deploys]") {
    Shop shop;
    shop.deploy({.release = "1", .component = "db"});
    const auto down = shop.deploy({.kind = protocol::DeployKind::teardown});
    const auto next = shop.deploy({.release = "1", .component = "docs"});
    const auto running = shop.claim(1, Pool{shop.install});
    REQUIRE(running.size() == 1);
    // Its agent refuses before it starts: nothing is recorded as installed.
    REQUIRE(shop.complete(running.front().id, running.front().epoch, Outcome::failed, "cannot"));
    CHECK(shop.view(down).jobs.empty());
    CHECK(shop.view(down).state == DeployState::succeeded);
    CHECK(shop.view(next).state == DeployState::running);
}

TEST_CASE("a rolled-back component shows what runs now", "[deploys]") {
    Shop shop;
    shop.deploy({.release = "1", .component = "db"});
    shop.run_next();
    shop.deploy({.release = "2", .component = "db"});
    shop.run_one(Pool{shop.install}, Outcome::failed,
                 json::encode(protocol::ApplyResult{.active_release = "1", .rolled_back = true}));
    const auto parts =
        shop.read([&](store::Connection& c) -> Result<std::vector<protocol::InstallComponentView>> {
            CONSIGN_TRY(install, installs::get(c, "acme"));
            return installs::components(c, install);
        });
    REQUIRE(parts->size() == 1);
    CHECK(parts->front().state == "rolled_back");
    CHECK(parts->front().release == "1");
    CHECK(parts->front().detail == "it broke");
}

TEST_CASE("what cannot be deployed is refused before anything is stored", "[deploys]") {
    Shop shop;
    const auto refused = [&](protocol::CreateDeployRequest request, Code code) {
        const auto result = shop.change([&](Change& c) { return deploys::create(c, request, "ann"); });
        REQUIRE_FALSE(result);
        CHECK(result.error().code == code);
    };
    refused({.install = "acne", .release = "1"}, Code::not_found);
    refused({.install = "acme", .release = "9"}, Code::not_found);
    refused({.install = "acme", .release = "1", .component = "wob"}, Code::not_found);
    refused({.install = "acme", .kind = protocol::DeployKind::teardown, .component = "wob"}, Code::not_found);
    CHECK(shop.read([](store::Connection& c) { return deploys::list(c, ""); })->empty());
}

namespace {
struct Gated : Shop {
    Result<void> decide(const DeployId& id, bool good, std::string component = "") {
        const protocol::DecideRequest request{.component = std::move(component), .reason = "because"};
        return change([&](Change& c) {
            return good ? deploys::approve(c, id, request, "ann") : deploys::reject(c, id, request, "ann");
        });
    }
};
} // namespace

TEST_CASE("a deploy that needs approval waits for it at each of its jobs", "[deploys][approval]") {
    Gated shop;
    const auto id = shop.deploy({.release = "1", .require_approval = true});
    CHECK(shop.state_of(id, "db") == JobState::awaiting_approval);
    CHECK(shop.state_of(id, "api") == JobState::blocked);
    const auto view = shop.view(id);
    REQUIRE(view.jobs.front().waiting_for);
    CHECK(view.jobs.front().waiting_for->reason == protocol::WaitReason::approval);
    CHECK(view.jobs.front().waiting_for->hint.contains(id.str()));
    CHECK(shop.claim(5, Pool{shop.install}).empty());

    REQUIRE(shop.decide(id, true, "db"));
    CHECK(shop.state_of(id, "db") == JobState::queued);
    CHECK(shop.state_of(id, "docs") == JobState::awaiting_approval);
    CHECK(shop.run_next() == "db");
    CHECK(shop.state_of(id, "api") == JobState::awaiting_approval);
    REQUIRE(shop.decide(id, true));
    shop.run_next();
    shop.run_next();
    REQUIRE(shop.decide(id, true));
    shop.run_next();
    CHECK(shop.view(id).state == DeployState::succeeded);
    const auto nothing = shop.decide(id, true);
    REQUIRE_FALSE(nothing);
    CHECK(nothing.error().code == Code::conflict);
}

TEST_CASE("a rejection skips what depends on it, and says who and why", "[deploys][approval]") {
    Gated shop;
    const auto id = shop.deploy({.release = "1", .require_approval = true});
    REQUIRE(shop.decide(id, true, "docs"));
    REQUIRE(shop.decide(id, false, "db"));
    for (const auto* name : {"db", "api", "web"}) CHECK(shop.state_of(id, name) == JobState::skipped);
    CHECK(shop.view(id).state == DeployState::running); // docs goes on
    shop.run_next();
    CHECK(shop.view(id).state == DeployState::cancelled);
    CHECK(shop.view(id).error == "db: rejected by ann: because");
}

TEST_CASE("cancelling a deploy ends what has not begun, the last first, and asks for the rest", "[deploys]") {
    Shop shop;
    const auto id = shop.deploy({.release = "1"});
    const auto held = shop.claim(1, Pool{shop.install});
    REQUIRE(held.size() == 1);
    REQUIRE(shop.change([&](Change& c) { return jobs::start(c, held.front().id, {shop.agent, 1}); }));
    const auto next = shop.deploy({.release = "2"});
    REQUIRE(shop.change([&](Change& c) { return deploys::cancel(c, id, "ann"); }));
    CHECK(shop.effects.tell.contains(shop.agent));
    for (const auto& job : shop.view(id).jobs)
        CHECK(job.state == (job.id == held.front().id ? JobState::running : JobState::cancelled));
    CHECK(shop.view(id).state == DeployState::running);
    CHECK(shop.view(next).state == DeployState::queued);
    REQUIRE(shop.complete(held.front().id, 1, Outcome::cancelled));
    CHECK(shop.view(id).state == DeployState::cancelled);
    CHECK(shop.view(next).state == DeployState::running);

    // One that waits for its turn ends at once, also a teardown whose jobs are not planned yet.
    const auto teardown = shop.deploy({.kind = protocol::DeployKind::teardown});
    REQUIRE(shop.change([&](Change& c) { return deploys::cancel(c, teardown, "ann"); }));
    CHECK(shop.view(teardown).state == DeployState::cancelled);
    CHECK(shop.view(next).state == DeployState::running);
    const auto again = shop.change([&](Change& c) { return deploys::cancel(c, teardown, "ann"); });
    REQUIRE_FALSE(again);
    CHECK(again.error().code == Code::conflict);
}

TEST_CASE("the job of the higher priority is taken first", "[deploys]") {
    Fixture f;
    const auto add = [&](int priority) {
        const auto id = JobId::make(f.clock.now());
        REQUIRE(f.change([&](Change& c) -> Result<void> {
            CONSIGN_CHECK(jobs::insert(c, Job{.id = id, .app = "shop", .component = "web", .priority = priority}, {}));
            return jobs::release_ready(c, id);
        }));
        return id;
    };
    const auto low = add(-1), normal = add(0), high = add(7), normal_too = add(0);
    const auto claimed = f.claim(4);
    REQUIRE(claimed.size() == 4);
    CHECK(claimed[0].id == high);
    CHECK(claimed[1].id == normal);
    CHECK(claimed[2].id == normal_too);
    CHECK(claimed[3].id == low);

    Shop shop;
    for (const int priority : {-101, 101}) {
        const auto refused = shop.change([&](Change& c) {
            return deploys::create(c, {.install = "acme", .priority = priority}, "ann");
        });
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Code::invalid_argument);
    }
}
