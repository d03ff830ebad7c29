// `consign registry` where the IMS does the work; copies are driven by
// tests/integration/registry_copy_test.py.
#include "consign/protocol/registry_api.hpp"
#include "fake_ims.hpp"

using namespace consign;
using namespace consign::cli;
using namespace consign::cli::test;

namespace {

const auto kNow = SystemClock().now();

RegistryGcReport collected() {
    return {.state = RegistryRunState::done,
            .dry_run = true,
            .grace_s = 3600,
            .manifests_kept = 5,
            .manifests_removed = 1,
            .bytes_freed = 2048,
            .items = {{.kind = "manifest",
                       .repository = "shop/web",
                       .digest = Digest::sha256_of("x"),
                       .bytes = 400}},
            .started_at = kNow,
            .finished_at = kNow};
}

} // namespace

TEST_CASE("gc says what would go, and waits until the IMS is done") {
    FakeIms ims;
    auto running = collected();
    running.state = RegistryRunState::running;
    ims.on("POST /v1/registry/gc", running);
    ims.on("GET /v1/registry/gc", running);
    ims.on("GET /v1/registry/gc", collected());
    const auto ran = run_against(ims, {"registry", "gc", "--dry-run", "--grace", "1h"});
    CAPTURE(ran.err);
    CHECK(ran.code == 0);
    CHECK(ran.out.contains("1 would go, 5 stay"));
    CHECK(ran.out.contains("2.0 KiB"));
    CHECK(ran.out.contains("shop/web"));
    CHECK(ims.was_called(R"(POST /v1/registry/gc?wait=20 {"dry_run":true,"grace_s":3600})"));
    CHECK(ims.calls().size() == 3);
    const auto printed = run_against(ims, {"registry", "gc", "--dry-run", "-o", "json"});
    CHECK(json::parse(printed.out).value()["manifests_removed"] == 1);
}

TEST_CASE("a run that fails is an error, and one that is on already a conflict") {
    FakeIms ims;
    auto failed = collected();
    failed.state = RegistryRunState::failed;
    failed.error = "the disk is gone";
    ims.on("POST /v1/registry/gc", failed);
    const auto ran = run_against(ims, {"registry", "gc"});
    CHECK(ran.code == kJobFailed);
    CHECK(ran.err.contains("the disk is gone"));
    FakeIms busy;
    busy.on("POST /v1/registry/gc", net::problem({Code::conflict, "another run is on"}));
    CHECK(run_against(busy, {"registry", "gc"}).code == 5);
}

TEST_CASE("scrub names what is damaged and who needs it, and its exit code says so") {
    FakeIms ims;
    RegistryScrubReport report{
        .state = RegistryRunState::done, .blobs = 7, .manifests = 2, .bytes = 4096, .started_at = kNow};
    ims.on("POST /v1/registry/scrub", report);
    const auto clean = run_against(ims, {"registry", "scrub"});
    CHECK(clean.code == 0);
    CHECK(clean.err.contains("0 damaged"));
    FakeIms damaged;
    report.damaged = 1;
    report.damages = {{.kind = "blob",
                       .digest = Digest::sha256_of("x"),
                       .what = "damaged",
                       .referrers = {{.repository = "shop/web", .manifest = {}, .tags = {"1.0"}}}}};
    damaged.on("POST /v1/registry/scrub", report);
    const auto found = run_against(damaged, {"registry", "scrub", "--mib-per-s", "200"});
    CHECK(found.code == 1);
    CHECK(found.out.contains("shop/web:1.0"));
    CHECK(damaged.was_called(R"(POST /v1/registry/scrub?wait=20 {"mib_per_s":200})"));
}

TEST_CASE("registry commands tell what is wrong with the command line") {
    FakeIms ims;
    struct Row {
        std::vector<std::string> words;
        std::string said;
    };
    const auto row = GENERATE(values<Row>({
        {{"registry", "inspect", "r.example/a"}, "neither a tag nor a digest"},
        {{"registry", "inspect", "a"}, "not an image reference"},
        {{"registry", "rm", "r.example/a"}, "neither a tag nor a digest"},
        {{"registry", "copy", "r.example/a", "oci:x"}, "neither a tag nor a digest"},
        {{"registry", "copy", "oci:x", "r.example/a@sha256:" + std::string(64, 'a')}, "has a digest"},
        {{"registry", "copy", "oci:x", "oci:y", "--platform", "linux"}, "not a platform"},
        {{"registry", "copy", "oci:x", "oci:y", "--platform", "linux/amd64", "--all-platforms"},
         "exclude each other"},
        {{"registry", "login", "r.example", "--password", "x", "--password-stdin"}, "exclude each other"},
        {{"registry", "ls", "r.example/a"}, "not a registry"},
    }));
    const auto ran = run_against(ims, row.words);
    CAPTURE(ran.err);
    CHECK(ran.code == kUsage);
    CHECK(ran.err.contains(row.said));
    CHECK(ran.out.empty());
}
