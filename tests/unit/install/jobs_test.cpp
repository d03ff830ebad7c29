#include "bundle.hpp"
#include <algorithm>

using namespace consign;
using namespace consign::install;
using namespace consign::install::test;

TEST_CASE("a spec that would lead us astray is refused") {
    Site site;
    auto spec = site.publish(Bundle("1.0"));
    spec.component.name = "../../etc";
    CHECK(site.apply(spec).error->code == Code::invalid_argument);
    spec.component.name = "web";
    spec.component.type = model::ComponentType::helm_chart;
    CHECK(site.apply(spec).error->code == Code::unsupported);
    spec.component.type = model::ComponentType::bundle;
    spec.artifact.repository = "../x";
    CHECK(site.apply(spec).error->code == Code::invalid_argument);
    auto nonsense = site.context({{"release", 7}});
    CHECK(site.apply(nonsense).error->message.starts_with("the job's spec cannot be read: "));
    CHECK_FALSE(fs::exists(site.paths.home));
}

TEST_CASE("secrets are registered before anything is logged") {
    Site site;
    Bundle bundle("1.0");
    bundle.inputs["password"] = "hunter2";
    bundle.run.environment["PASSWORD"] = "{{ inputs.password }}";
    auto spec = site.publish(bundle);
    spec.sensitive = {"password"};
    auto job = site.context(json::encode(spec));
    std::optional<std::size_t> known_at_first_line;
    job.on_log = [&](std::string_view) {
        if (!known_at_first_line) known_at_first_line = job.secrets.size();
    };
    REQUIRE_FALSE(site.apply(job).error);
    CHECK(known_at_first_line == 1);
    CHECK(job.secrets == std::vector<std::string>{"hunter2"});
}

TEST_CASE("one operation at a time per component, and waiting can be cancelled") {
    ComponentLocks locks;
    auto first = std::make_unique<Result<ComponentLocks::Guard>>(locks.acquire("web", {}));
    REQUIRE(*first);
    CHECK(locks.acquire("db", {}));
    std::stop_source stop;
    std::thread canceller([&] { stop.request_stop(); });
    CHECK(locks.acquire("web", stop.get_token()).error().code == Code::cancelled);
    canceller.join();
    std::thread releaser([&] { first.reset(); });
    CHECK(locks.acquire("web", {}));
    releaser.join();
}

TEST_CASE("what a killed teardown left is swept, and a damaged component keeps no other from running") {
    Site site;
    REQUIRE_FALSE(site.apply(Bundle("1.0")).error);
    const auto pid = site.pid();
    site.stop_agent();
    put(components_directory(site.data) / ".removed-db-1234/releases/x/file", "");
    put(paths_of(site.data, "aaa").state(), "not json");
    site.start_agent();
    CHECK_FALSE(fs::exists(components_directory(site.data) / ".removed-db-1234"));
    CHECK(site.pid() == pid);
}
