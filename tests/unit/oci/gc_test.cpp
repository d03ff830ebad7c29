#include "registry_site.hpp"
#include <filesystem>
#include <fstream>

using namespace consign;
using namespace consign::oci;
using namespace consign::oci::testing;
using net::Verb;
using namespace std::chrono_literals;

namespace {

struct Garbage : Site {
    ManualClock clock;
    Garbage() { reopen({.clock = &clock}); }

    GcReport collect(GcOptions options = {}) {
        auto report = io.run(registry->gc(std::move(options)));
        if (!report) FAIL(to_string(report.error()));
        return *report;
    }
    void pass_time() { clock.advance(25h); } // more than the grace
    bool has(const std::string& repository, const Digest& digest) {
        return io.run(local(repository)->fetch_manifest({.tag = {}, .digest = digest})).has_value();
    }
    std::size_t files() const {
        std::size_t count = 0;
        for (const auto& entry :
             std::filesystem::recursive_directory_iterator(directory.path() / "registry" / "blobs"))
            count += entry.is_regular_file();
        return count;
    }
    void untag(const std::string& repository, const std::string& tag) {
        REQUIRE(send(Verb::delete_, "/v2/" + repository + "/manifests/" + tag).status == 202);
    }
};

net::Async<Result<GcRoots>> roots_of(GcRoots roots) { co_return roots; }

} // namespace

TEST_CASE_METHOD(Garbage, "garbage goes after the grace, with its blobs; what is needed stays", "[oci]") {
    const auto kept = push_artifact(io, *local("shop/web"), {"shared", "kept"}, "1.0");
    const auto old = push_artifact(io, *local("shop/web"), {"shared", "old"}, "0.9");
    untag("shop/web", "0.9");
    CHECK(collect().manifests_removed == 0); // still young
    pass_time();

    const auto preview = collect({.dry_run = true});
    CHECK(preview.manifests_removed == 1);
    CHECK(preview.links_removed == 1);
    CHECK(preview.files_removed == 1);
    CHECK(preview.bytes_freed == old.body.size() + 3);
    CHECK(preview.items.size() == 3);
    CHECK(preview.manifests_kept == 1);
    CHECK(preview.links_kept == 3);
    CHECK(preview.files_kept == 3);
    CHECK(files() == 4);

    const auto done = collect();
    CHECK(done.manifests_removed == 1);
    CHECK(done.links_removed == 1);
    CHECK(done.files_removed == 1);
    CHECK(done.bytes_freed == preview.bytes_freed);
    CHECK(done.manifests_kept == 1);
    CHECK(done.files_kept == 3);
    CHECK(files() == 3);
    CHECK(!has("shop/web", old.descriptor.digest));
    CHECK(has("shop/web", kept.descriptor.digest));
    CHECK(io.run(fetch_text(local("shop/web").get(), describe_blob("shared"))) == "shared");
    CHECK(collect().files_removed == 0);
}

TEST_CASE_METHOD(Garbage,
                 "indexes keep their children, subjects what refers to them, roots what the caller needs",
                 "[oci]") {
    auto repository = local("shop/web");
    const auto child = push_artifact(io, *repository, {"child"}, "");
    const auto index = make_index({child});
    REQUIRE(io.run(put(repository.get(), index, "")));
    const auto outer = make_index({index});
    REQUIRE(io.run(put(repository.get(), outer, "1.0")));
    const auto signature = push_artifact(io, *repository, {"signature"}, "", outer.descriptor);
    const auto of_signature = push_artifact(io, *repository, {"more"}, "", signature.descriptor);
    const auto root = push_artifact(io, *repository, {"root"}, "");
    const auto orphan = push_artifact(io, *repository, {"orphan"}, "", describe_blob("no such manifest"));
    pass_time();
    GcOptions options{.roots = [&] { return roots_of({{"shop/web", {root.descriptor.digest}}}); }};
    CHECK(collect(options).manifests_removed == 1);
    CHECK(!has("shop/web", orphan.descriptor.digest));
    for (const auto* kept : {&child, &index, &outer, &signature, &of_signature, &root})
        CHECK(has("shop/web", kept->descriptor.digest));

    pass_time(); // has() was a touch
    untag("shop/web", "1.0");
    CHECK(collect(options).manifests_removed == 5);
    CHECK(has("shop/web", root.descriptor.digest));
    pass_time();
    CHECK(collect().manifests_removed == 1);
    CHECK(files() == 0);
    CHECK(io.run(registry->usage()).value().bytes == 0);
}

TEST_CASE_METHOD(Garbage, "what a push found here stays until the push is done", "[oci]") {
    push_artifact(io, *local("shop/web"), {"layer"}, "1.0");
    untag("shop/web", "1.0");
    const auto layer = "/v2/shop/web/blobs/" + Digest::sha256_of("layer").str();
    pass_time();
    SECTION("asked by HEAD") {
        CHECK(head(layer).status == 200);
        CHECK(collect().links_removed == 1); // the config alone
        CHECK(head(layer).status == 200);
    }
    SECTION("who may only pull keeps nothing") {
        policy.grant = {.scopes = {{.repository = "*", .actions = {Action::pull}, .only = {}}}};
        CHECK(head(layer).status == 200);
        CHECK(collect().links_removed == 2);
        CHECK(head(layer).status == 404);
    }
    SECTION("mounted elsewhere") {
        CHECK(send(Verb::post,
                   "/v2/new/blobs/uploads/?mount=" + Digest::sha256_of("layer").str() + "&from=shop/web")
                  .status == 201);
        const auto done = collect();
        CHECK(done.links_removed == 2);
        CHECK(done.files_removed == 1);
        CHECK(get("/v2/new/blobs/" + Digest::sha256_of("layer").str()).body == "layer");
    }
    SECTION("pushed again") {
        REQUIRE(io.run(push_text(local("shop/web").get(), "layer")));
        CHECK(collect().links_removed == 1);
        CHECK(get(layer).body == "layer");
    }
}

TEST_CASE_METHOD(Garbage, "a file that a crash left without a link goes too", "[oci]") {
    push_artifact(io, *local("shop/web"), {"layer"}, "1.0");
    const auto stray = Digest::sha256_of("stray");
    const auto path = directory.path() / "registry/blobs/sha256" / std::string(stray.hex().substr(0, 2)) /
                      std::string(stray.hex());
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << "stray";
    // The file is of the real present, the registry's clock stands in the past.
    CHECK(collect({.grace = 0s}).files_removed == 0);
    std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now() - 24h * 365 * 9);
    CHECK(collect({.dry_run = true}).files_removed == 1);
    CHECK(collect().files_removed == 1);
    CHECK(!std::filesystem::exists(path));
    CHECK(files() == 2);
}

TEST_CASE_METHOD(Garbage, "a manifest that came back between the look and the deletion stays whole",
                 "[oci]") {
    auto repository = local("shop/web");
    const auto child = push_artifact(io, *repository, {"child"}, "");
    const auto inner = make_index({child});
    REQUIRE(io.run(put(repository.get(), inner, "")));
    const auto outer = make_index({inner});
    REQUIRE(io.run(put(repository.get(), outer, "")));
    pass_time();
    // After the first step has deleted something elsewhere, the outer index is tagged again.
    push_artifact(io, *local("a/first"), {"x"}, "1");
    untag("a/first", "1");
    pass_time();
    bool once = false;
    GcOptions options;
    options.on_progress = [&](const GcReport&) {
        if (std::exchange(once, true)) return;
        const auto tagged = std::async(std::launch::async, [&] {
                                net::IoThread another;
                                return another.run(put(repository.get(), outer, "back")).has_value();
                            }).get();
        CHECK(tagged);
    };
    collect(options);
    CHECK(once);
    for (const auto* kept : {&child, &inner, &outer}) CHECK(has("shop/web", kept->descriptor.digest));
    CHECK(io.run(fetch_text(repository.get(), describe_blob("child"))) == "child");
}
