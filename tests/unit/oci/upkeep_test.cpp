#include "consign/store/sqlite.hpp"
#include "registry_site.hpp"
#include <filesystem>
#include <fstream>

using namespace consign;
using namespace consign::oci;
using namespace consign::oci::testing;
using net::Verb;
using namespace std::chrono_literals;

namespace {

struct Upkeep : Site {
    std::filesystem::path root() const { return directory.path() / "registry"; }
    std::filesystem::path file(const Digest& digest) const {
        return root() / "blobs/sha256" / std::string(digest.hex().substr(0, 2)) / std::string(digest.hex());
    }
    std::filesystem::path aside(const Digest& digest) const {
        return root() / "quarantine" / ("sha256-" + std::string(digest.hex()));
    }
    /// Other bytes of the same length; `silently`: as a disk decays, with nothing to see from outside.
    void damage(const Digest& digest, bool silently = false) const {
        const auto path = file(digest);
        const auto before = std::filesystem::last_write_time(path);
        {
            std::fstream bytes(path, std::ios::in | std::ios::out | std::ios::binary);
            const auto first = static_cast<char>(bytes.get() ^ 1);
            bytes.seekp(0);
            bytes.put(first);
        }
        std::filesystem::last_write_time(path, silently ? before : before + 1s);
    }
    std::size_t entries(const char* name) const {
        return static_cast<std::size_t>(
            std::distance(std::filesystem::recursive_directory_iterator(root() / name), {}));
    }
    std::size_t uploads() const { return entries("uploads"); }
    ScrubReport scrub() { return io.run(registry->scrub({.bytes_per_second = 0})).value(); }
    bool there(const std::string& text) {
        return io.run(local("shop/web")->has_blob(describe_blob(text))).value();
    }
    Answer push(const std::string& repository, const std::string& text) {
        return send(Verb::post,
                    "/v2/" + repository + "/blobs/uploads/?digest=" + Digest::sha256_of(text).str(), text);
    }
};

const std::string kBig(300'000, 'b'); // more than what is hashed at each GET

} // namespace

TEST_CASE_METHOD(Upkeep, "a damaged blob is set aside by whoever reads it, and a push repairs it", "[oci]") {
    const auto text = GENERATE(std::string("small"), kBig);
    const auto digest = Digest::sha256_of(text);
    const auto at = "/v2/shop/web/blobs/" + digest.str();
    push_artifact(io, *local("shop/web"), {text}, "1.0");
    SECTION("in process, however it was damaged") {
        damage(digest, true);
        CHECK(io.run(fetch_text(local("shop/web").get(), describe_blob(text))).error().code == Code::corrupt);
    }
    SECTION("by HTTP, a file that was written to") {
        damage(digest);
        CHECK(get(at).code() == "BLOB_UNKNOWN");
    }
    SECTION("by asking for it") {
        damage(digest);
        CHECK(head(at).status == 404);
    }
    SECTION("a file that was cut short") {
        std::filesystem::resize_file(file(digest), 3);
        CHECK(get(at).status == 404);
    }
    SECTION("by scrub, silently damaged") {
        damage(digest, true);
        CHECK(scrub().damaged == 1);
    }
    CHECK(std::filesystem::exists(aside(digest)));
    CHECK(!std::filesystem::exists(file(digest)));
    CHECK(!there(text));
    CHECK(get(at).status == 404);
    CHECK(io.run(registry->usage()).value().quarantined == 1);
    CHECK(push("shop/web", text).status == 201);
    CHECK(get(at).body == text);
    CHECK(there(text));
    CHECK(!std::filesystem::exists(aside(digest)));
    CHECK(io.run(registry->usage()).value().quarantined == 0);
    CHECK(scrub().damages.empty());
}

TEST_CASE_METHOD(Upkeep, "small blobs are hashed at each GET, so that silent damage is found", "[oci]") {
    push_artifact(io, *local("shop/web"), {"small"}, "1.0");
    damage(Digest::sha256_of("small"), true);
    CHECK(get("/v2/shop/web/blobs/" + Digest::sha256_of("small").str()).status == 404);
}

TEST_CASE_METHOD(Upkeep, "a file of another time is read once, then trusted again", "[oci]") {
    push_artifact(io, *local("shop/web"), {kBig}, "1.0");
    const auto digest = Digest::sha256_of(kBig);
    const auto path = file(digest);
    std::filesystem::rename(path, path.string() + ".old"); // as from a backup: the same bytes, another file
    std::filesystem::copy_file(path.string() + ".old", path);
    std::filesystem::remove(path.string() + ".old");
    CHECK(get("/v2/shop/web/blobs/" + digest.str()).body == kBig);
    CHECK(get("/v2/shop/web/blobs/" + digest.str()).body == kBig);
    CHECK(scrub().damages.empty());
}

TEST_CASE_METHOD(Upkeep, "scrub names who refers to what is damaged or missing", "[oci]") {
    const auto one = push_artifact(io, *local("shop/web"), {"layer"}, "1.0");
    const auto index = make_index({one});
    REQUIRE(io.run(put(local("shop/web").get(), index, "all")));
    push_artifact(io, *local("shop/db"), {"layer", "other"}, "2.0");
    CHECK(scrub().damages.empty());
    const auto report = scrub();
    CHECK(report.blobs == 3);
    CHECK(report.manifests == 3);
    CHECK(report.bytes == report.bytes_total);

    damage(Digest::sha256_of("layer"), true);
    std::filesystem::remove(file(Digest::sha256_of("other")));
    const auto found = scrub();
    CHECK(found.damaged == 1);
    CHECK(found.missing == 1);
    REQUIRE(found.damages.size() == 2);
    for (const auto& damage : found.damages) {
        const bool layer = damage.digest == Digest::sha256_of("layer");
        CHECK(damage.missing == !layer);
        REQUIRE(damage.referrers.size() == (layer ? 2 : 1));
        CHECK(damage.referrers[0].repository == "shop/db");
        CHECK(damage.referrers[0].tags == std::vector<std::string>{"2.0"});
        if (layer) {
            CHECK(damage.referrers[1].repository == "shop/web");
            CHECK(damage.referrers[1].manifest == one.descriptor.digest);
            CHECK(damage.referrers[1].tags == std::vector<std::string>{"1.0", "all"});
        }
    }
    const auto again = scrub(); // until somebody pushes it
    CHECK(again.damaged == 1);
    CHECK(again.missing == 1);
}

TEST_CASE_METHOD(Upkeep, "a damaged manifest is never served, and a push repairs it", "[oci]") {
    const auto manifest = push_artifact(io, *local("shop/web"), {"layer"}, "1.0");
    reopen({});
    {
        std::unique_ptr<store::Database> none;
        handler.reset();
        registry.reset();
        std::fstream database(root() / "registry.db", std::ios::in | std::ios::out | std::ios::binary);
        std::string all((std::istreambuf_iterator<char>(database)), {});
        const auto at = all.find(R"("layers":"1")");
        REQUIRE(at != std::string::npos);
        database.seekp(static_cast<std::streamoff>(at + 10));
        database.put('7');
    }
    reopen({});
    const std::string at = "/v2/shop/web/manifests/1.0";
    CHECK(get(at).code() == "MANIFEST_UNKNOWN");
    const auto found = scrub();
    CHECK(found.damaged == 1);
    REQUIRE(found.damages.size() == 1);
    CHECK(found.damages[0].kind == Damage::Kind::manifest);
    CHECK(found.damages[0].referrers.at(0).tags == std::vector<std::string>{"1.0"});
    REQUIRE(io.run(put(local("shop/web").get(), manifest, "1.0")));
    CHECK(get(at).body == manifest.body);
    CHECK(scrub().damages.empty());
}

TEST_CASE_METHOD(Upkeep, "a push over a quota is refused and leaves nothing behind", "[oci]") {
    reopen({.quota_bytes = 5000, .repository_quota_bytes = 3000});
    const std::string a(2000, 'a'), b(2000, 'b'), c(2500, 'c');
    REQUIRE(push("one", a).status == 201);
    const auto refused = push("one", b);
    CHECK(refused.status == 403);
    CHECK(refused.code() == "DENIED");
    CHECK_THAT(refused.body, Catch::Contains("room for 1000"));
    CHECK(push("one", a).status == 201); // what is here costs nothing
    REQUIRE(push("two", b).status == 201);
    CHECK(push("three", c).status == 403);
    CHECK(push("three", b).status == 201); // the bytes are here, only the repository's own quota counts
    CHECK(io.run(registry->usage()).value().bytes == 4000);

    SECTION("in chunks") {
        const auto upload = send(Verb::post, "/v2/one/blobs/uploads/").header("Location");
        CHECK(send(Verb::patch, upload, std::string(900, 'x')).status == 202);
        CHECK(send(Verb::patch, upload, std::string(900, 'x')).code() == "DENIED");
        CHECK(get(upload).status == 404);
    }
    SECTION("in process") {
        CHECK(io.run(push_text(local("one").get(), b)).error().code == Code::permission_denied);
    }
    SECTION("a mount and a manifest count, too") {
        REQUIRE(push("one", std::string(900, 'd')).status == 201);
        CHECK(send(Verb::post, "/v2/one/blobs/uploads/?mount=" + Digest::sha256_of(b).str() + "&from=two")
                  .code() == "DENIED");
        const auto manifest =
            make_manifest("application/vnd.test", describe_blob(a), {}, {{"x", std::string(200, 'x')}});
        CHECK(io.run(put(local("one").get(), manifest, "1")).error().code == Code::permission_denied);
    }
    SECTION("a repository's own quota beats the default") {
        const auto set = io.run(registry->set("one", {.quota_bytes = 10'000}));
        REQUIRE(set);
        CHECK(set->quota_bytes == 10'000);
        CHECK(push("one", std::string(900, 'e')).status == 201);
        CHECK(push("one", std::string(900, 'f')).status == 403); // the registry's, now
    }
    CHECK(uploads() == 0);
    CHECK(entries("trash") == 0);
}

TEST_CASE_METHOD(Upkeep, "pushes stop at the floor of free space, and the answer names no path", "[oci]") {
    reopen({.free_floor_bytes = 1ull << 60});
    const auto refused = push("one", "x");
    CHECK(refused.status == 507);
    CHECK(refused.code() == "DENIED");
    CHECK_THAT(refused.body, !Catch::Contains(directory.path().string()));
    CHECK(send(Verb::post, "/v2/one/blobs/uploads/").status == 507);
    CHECK(io.run(push_text(local("one").get(), "x")).error().code == Code::storage_full);
    CHECK(uploads() == 0);
}

TEST_CASE_METHOD(Upkeep, "the registry's own trouble is told without its paths", "[oci]") {
    REQUIRE(push("one", "x").status == 201);
    std::filesystem::remove_all(root() / "uploads");
    std::ofstream(root() / "uploads") << "in the way";
    const auto failed = push("one", "y");
    CHECK(failed.status == 500);
    CHECK_THAT(failed.body, !Catch::Contains(directory.path().string()));
    std::filesystem::remove(root() / "uploads");
    CHECK(push("one", "y").status == 201);
}

TEST_CASE_METHOD(Upkeep, "an immutable tag does not move", "[oci]") {
    const auto one = push_artifact(io, *local("shop/web"), {"one"}, "1.0");
    REQUIRE(io.run(registry->set("shop/web", {.immutable_tags = true}))->immutable_tags);
    REQUIRE(io.run(put(local("shop/web").get(), one, "1.0")));
    REQUIRE(io.run(put(local("shop/web").get(), one, "1.0.0")));
    const auto two = push_artifact(io, *local("shop/web"), {"two"}, "2.0");
    const auto moved = send(Verb::put, "/v2/shop/web/manifests/1.0", two.body,
                            {{"Content-Type", two.descriptor.media_type}});
    CHECK(moved.status == 403);
    CHECK(moved.code() == "DENIED");
    CHECK(get("/v2/shop/web/manifests/1.0").body == one.body);
    const auto usage = io.run(registry->set("shop/web", {}));
    REQUIRE(usage);
    CHECK(usage->immutable_tags);
    CHECK(usage->tags == 3);
    CHECK(usage->manifests == 2);
    CHECK(usage->blobs == 3);
    REQUIRE(io.run(registry->set("shop/web", {.immutable_tags = false})));
    CHECK(
        send(Verb::put, "/v2/shop/web/manifests/1.0", two.body, {{"Content-Type", two.descriptor.media_type}})
            .status == 201);
    CHECK(io.run(registry->set("No/Name", {})).error().code == Code::invalid_argument);
}

TEST_CASE_METHOD(Upkeep, "a push that fails in one request leaves no upload, one in chunks can go on",
                 "[oci]") {
    CHECK(send(Verb::post, "/v2/one/blobs/uploads/?digest=" + Digest::sha256_of("x").str(), "y").status ==
          400);
    CHECK(uploads() == 0);
    const auto upload = send(Verb::post, "/v2/one/blobs/uploads/").header("Location");
    CHECK(uploads() == 1);
    CHECK(io.run(registry->expire_uploads()) == 0u);
    for (const auto& entry : std::filesystem::directory_iterator(root() / "uploads"))
        std::filesystem::last_write_time(entry, std::filesystem::file_time_type::clock::now() - 8 * 24h);
    CHECK(io.run(registry->expire_uploads()) == 1u);
    CHECK(get(upload).code() == "BLOB_UPLOAD_UNKNOWN");
}

TEST_CASE_METHOD(Upkeep, "rights that were revoked while the body came make nothing visible", "[oci]") {
    REQUIRE(push("one", "config").status == 201);
    int asked = 0;
    policy.grant = everything();
    policy.grant.recheck = [&]() -> net::Async<Result<void>> {
        return [](int& count) -> net::Async<Result<void>> {
            ++count;
            co_return fail(Code::unauthenticated, "the token was revoked");
        }(asked);
    };
    const auto refused = push("one", "secret");
    CHECK(refused.status == 401);
    CHECK(refused.code() == "UNAUTHORIZED");
    CHECK(!refused.header("WWW-Authenticate").empty());
    const auto manifest = make_manifest("application/vnd.test", describe_blob("config"), {});
    CHECK(send(Verb::put, "/v2/one/manifests/1.0", manifest.body,
               {{"Content-Type", manifest.descriptor.media_type}})
              .status == 401);
    CHECK(asked == 2);
    CHECK(uploads() == 0);
    policy.grant = everything();
    CHECK(get("/v2/one/blobs/" + Digest::sha256_of("secret").str()).status == 404);
    CHECK(get("/v2/one/manifests/1.0").status == 404);
}

TEST_CASE_METHOD(Upkeep, "a registry of the first schema is taken over with all it has", "[oci]") {
    static constexpr store::Migration kFirst[] = {{
        1,
#include "embedded/oci/migrations/0001_registry.sql.inc"
    }};
    const auto manifest = make_manifest("application/vnd.test", describe_blob("{}", media::kEmptyJson),
                                        {describe_blob("layer")});
    handler.reset();
    registry.reset();
    std::filesystem::remove_all(root());
    for (const std::string text : {"{}", "layer"}) {
        const auto path = file(Digest::sha256_of(text));
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path) << text;
    }
    {
        auto old = std::move(store::open_sqlite(root() / "registry.db", kFirst).value());
        REQUIRE(old->write_blocking([&](store::Transaction& tx) -> Result<void> {
            const auto digest = manifest.descriptor.digest.str();
            for (const std::string name : {"one", "two"}) {
                CONSIGN_CHECK(tx.execute("INSERT INTO repositories VALUES ($1)", {name}));
                for (const std::string text : {"{}", "layer"})
                    CONSIGN_CHECK(tx.execute("INSERT INTO links VALUES ($1, $2, $3)",
                                             {name, Digest::sha256_of(text).str(), text.size()}));
            }
            CONSIGN_CHECK(tx.execute(
                "INSERT INTO manifests VALUES ('one', $1, $2, $3, $4, 'application/vnd.test', '{}', NULL)",
                {digest, manifest.descriptor.media_type, manifest.body.size(), manifest.body}));
            CONSIGN_CHECK(tx.execute("INSERT INTO tags VALUES ('one', '1.0', $1)", {digest}));
            for (const std::string text : {"{}", "layer"})
                CONSIGN_CHECK(tx.execute("INSERT INTO manifest_refs VALUES ('one', $1, $2, 0)",
                                         {digest, Digest::sha256_of(text).str()}));
            return {};
        }));
    }
    reopen({});
    const auto usage = io.run(registry->usage()).value();
    CHECK(usage.bytes == 7 + manifest.body.size());
    REQUIRE(usage.repositories.size() == 2);
    CHECK(usage.repositories[0].bytes == 7 + manifest.body.size());
    CHECK(usage.repositories[1].bytes == 7);
    CHECK(get("/v2/one/manifests/1.0").body == manifest.body);
    CHECK(get("/v2/two/blobs/" + Digest::sha256_of("layer").str()).body == "layer");
    const auto young = io.run(registry->gc({})).value();
    CHECK(young.links_removed == 0); // all of it counts as touched by the upgrade
    const auto later = SystemClock().now() + 48h;
    ManualClock clock(later);
    reopen({.clock = &clock});
    const auto old = io.run(registry->gc({})).value();
    CHECK(old.links_removed == 2);
    CHECK(old.files_removed == 0);
    CHECK(scrub().damages.empty());
    CHECK(scrub().blobs == 2);
    clock.advance(1h);
    reopen({}); // without our clock
}
