#include "fake_registry.hpp"
#include "oci/copy_plan.hpp"
#include "registry_site.hpp"

using namespace consign;
using namespace consign::oci;
using namespace consign::oci::testing;

namespace {

constexpr const char* kKinds[] = {"local", "remote", "layout"};

std::unique_ptr<Repository> open(Site& site, std::string_view kind, const std::string& name) {
    if (kind == "local") return site.local(name);
    if (kind == "remote") return site.remote(name);
    return site.layout(name);
}

} // namespace

TEST_CASE("an artifact is copied digest-exact between any two kinds of repository", "[oci]") {
    const std::string from = GENERATE(from_range(std::begin(kKinds), std::end(kKinds)));
    const std::string to = GENERATE(from_range(std::begin(kKinds), std::end(kKinds)));
    CAPTURE(from, to);
    Site site;
    auto source = open(site, from, "source"), target = open(site, to, "target");
    const std::string big(700'000, 'b'); // several pieces
    const auto one = push_artifact(site.io, *source, {"shared", big}, "");
    const auto two = push_artifact(site.io, *source, {"shared", "small", ""}, "");
    const auto root = make_index({one, two});
    REQUIRE(site.io.run(put(source.get(), root, "v1")));

    CopyProgress last;
    auto copied = site.io.run(copy(*source, {.tag = "v1", .digest = {}}, *target, "v2",
                                   {.parallel = 2, .on_progress = [&](const CopyProgress& p) { last = p; }}));
    REQUIRE(copied);
    CHECK(copied->digest == root.descriptor.digest);
    CHECK(last.blobs_total == 5); // {}, shared, big, small, the empty one
    CHECK(last.blobs_done == 5);
    CHECK(last.bytes_done + last.bytes_skipped == last.bytes_total);
    CHECK((last.bytes_done == 0) == (from == to && from != "layout")); // mounted within one registry
    CHECK(site.io.run(target->fetch_manifest({.tag = "v2", .digest = {}})).value().body == root.body);
    CHECK(site.io.run(target->fetch_manifest({.tag = {}, .digest = one.descriptor.digest})).value().body ==
          one.body);
    CHECK(site.io.run(fetch_text(target.get(), describe_blob(big))) == big);
    CHECK(site.io.run(fetch_text(target.get(), describe_blob(""))) == "");

    REQUIRE(site.io.run(copy(*source, {.tag = {}, .digest = root.descriptor.digest}, *target, "",
                             {.on_progress = [&](const CopyProgress& p) { last = p; }})));
    CHECK(last.bytes_skipped == last.bytes_total);
    CHECK(last.bytes_done == 0);
}

TEST_CASE_METHOD(Site, "every kind of repository keeps the contract", "[oci]") {
    const std::string kind = GENERATE(from_range(std::begin(kKinds), std::end(kKinds)));
    CAPTURE(kind);
    auto repository = open(*this, kind, "some/where");
    const auto missing = describe_blob("missing");
    CHECK(io.run(repository->has_blob(missing)) == false);
    CHECK(io.run(fetch_text(repository.get(), missing)).error().code == Code::not_found);
    CHECK(io.run(repository->fetch_manifest({.tag = "none", .digest = {}})).error().code == Code::not_found);
    CHECK(io.run(repository->fetch_manifest({.tag = {}, .digest = missing.digest})).error().code ==
          Code::not_found);

    for (const std::string_view wrong : {"missinG", "missin", "missing!"}) {
        TextSource source(wrong);
        const auto pushed = io.run(repository->push_blob(missing, source));
        REQUIRE(!pushed);
        CHECK(pushed.error().code == Code::corrupt);
        CHECK(io.run(repository->has_blob(missing)) == false);
    }
    auto manifest = push_artifact(io, *repository, {"x"}, "v1");
    CHECK(io.run(repository->has_blob(describe_blob("x"))) == true);
    manifest.descriptor.digest = missing.digest;
    CHECK(io.run(put(repository.get(), manifest, "v2")).error().code == Code::corrupt);
    CHECK(!repository->describe().empty());
}

TEST_CASE_METHOD(Site, "a one-time password is redeemed once, however much is read in parallel", "[oci]") {
    auto stored = local("shop/web");
    std::vector<std::string> layers;
    for (int i = 0; i < 12; ++i) layers.push_back("layer " + std::to_string(i));
    push_artifact(io, *stored, layers, "v1");
    policy.tokens = policy.one_time = true;
    auto source = remote("shop/web", "secret");
    auto target = layout("out");
    REQUIRE(io.run(copy(*source, {.tag = "v1", .digest = {}}, *target, "v1", {.parallel = 6})));
    CHECK(policy.redeemed == 1);
}

TEST_CASE_METHOD(Site, "a token that expires is renewed, a wrong password is said", "[oci]") {
    push_artifact(io, *local("shop/web"), {"x"}, "v1");
    policy.tokens = true;
    auto source = remote("shop/web", "secret");
    REQUIRE(io.run(source->fetch_manifest({.tag = "v1", .digest = {}})));
    policy.token = "t2";
    REQUIRE(io.run(source->fetch_manifest({.tag = "v1", .digest = {}})));
    CHECK(policy.redeemed == 2);
    auto stranger = remote("shop/web", "wrong");
    CHECK(io.run(stranger->fetch_manifest({.tag = "v1", .digest = {}})).error().code ==
          Code::unauthenticated);
    push_artifact(io, *source, {"y"}, "v2"); // writing takes a token of its own
    CHECK(policy.redeemed == 4);
}

TEST_CASE_METHOD(Site, "a blob that the source has damaged stops the copy and tags nothing", "[oci]") {
    auto source = layout("source");
    const auto manifest = push_artifact(io, *source, {"precious", "other"}, "v1");
    const auto path =
        directory.path() / "source/blobs/sha256" / std::string(describe_blob("precious").digest.hex());
    REQUIRE(write_file_atomic(path, std::string_view("PRECIOUS")));
    auto target = remote("target");
    const auto copied = io.run(copy(*source, {.tag = "v1", .digest = {}}, *target, "v1"));
    REQUIRE(!copied);
    CHECK(copied.error().code == Code::corrupt);
    CHECK(io.run(target->fetch_manifest({.tag = "v1", .digest = {}})).error().code == Code::not_found);
}

TEST_CASE_METHOD(Site, "a blob damaged in the registry's store is never served", "[oci]") {
    push_artifact(io, *local("shop/web"), {"precious"}, "v1");
    const auto digest = describe_blob("precious").digest;
    const auto path = directory.path() / "registry/blobs/sha256" / std::string(digest.hex().substr(0, 2)) /
                      std::string(digest.hex());
    REQUIRE(write_file_atomic(path, std::string_view("short")));
    CHECK(get("/v2/shop/web/blobs/" + digest.str()).status == 404);
    REQUIRE(io.run(push_text(local("shop/web").get(), "precious"))); // the next push heals it
    CHECK(get("/v2/shop/web/blobs/" + digest.str()).body == "precious");
}

TEST_CASE_METHOD(Site, "indexes nested too deep are refused", "[oci]") {
    auto source = layout("source");
    auto at = push_artifact(io, *source, {"x"}, "");
    for (int i = 0; i < 8; ++i) {
        at = make_index({at});
        REQUIRE(io.run(put(source.get(), at, "depth" + std::to_string(i + 2))));
    }
    auto target = local("target");
    CHECK(io.run(copy(*source, {.tag = "depth8", .digest = {}}, *target, "v1")));
    CHECK(io.run(copy(*source, {.tag = "depth9", .digest = {}}, *target, "v1")).error().code ==
          Code::unsupported);
}

TEST_CASE_METHOD(Site, "what killed copies left in a layout goes after a week, and nothing else", "[oci]") {
    REQUIRE(layout("image"));
    const auto uploads = directory.path() / "image/.uploads";
    REQUIRE(make_directories(uploads));
    const auto old = uploads / std::string(32, 'a'), fresh = uploads / std::string(32, 'b'),
               foreign = uploads / "notes";
    for (const auto& file : {old, fresh, foreign}) REQUIRE(write_file_atomic(file, std::string_view("x")));
    const auto long_ago = std::filesystem::file_time_type::clock::now() - std::chrono::hours(8 * 24);
    for (const auto& file : {old, foreign}) std::filesystem::last_write_time(file, long_ago);
    REQUIRE(layout("image"));
    CHECK(!std::filesystem::exists(old));
    CHECK(std::filesystem::exists(fresh));
    CHECK(std::filesystem::exists(foreign));
}

TEST_CASE_METHOD(Site, "a directory that holds something else is no layout", "[oci]") {
    REQUIRE(make_directories(directory.path() / "mine"));
    REQUIRE(write_file_atomic(directory.path() / "mine/notes.txt", std::string_view("x")));
    CHECK(open_layout(directory.path() / "mine", io.blocking()).error().code == Code::invalid_argument);
}

namespace {

ManifestBytes index_of(const std::vector<std::pair<ManifestBytes, json::Value>>& children) {
    auto entries = json::Value::array();
    for (const auto& [child, platform] : children) {
        auto entry = json::encode(child.descriptor);
        if (!platform.is_null()) entry["platform"] = platform;
        entries.push_back(entry);
    }
    ManifestBytes out;
    out.body =
        json::dump({{"schemaVersion", 2}, {"mediaType", media::kImageIndex}, {"manifests", entries}}, 3);
    out.descriptor = describe_blob(out.body, media::kImageIndex);
    return out;
}

struct Platforms : Site {
    std::unique_ptr<Repository> source = local("multi");
    ManifestBytes amd = push_artifact(io, *source, {"amd"}, ""),
                  arm = push_artifact(io, *source, {"arm"}, ""),
                  arm7 = push_artifact(io, *source, {"arm7"}, "");
    ManifestBytes root = index_of({{amd, {{"os", "linux"}, {"architecture", "amd64"}}},
                                   {arm, {{"os", "linux"}, {"architecture", "arm64"}, {"variant", "v8"}}},
                                   {arm7, {{"os", "linux"}, {"architecture", "arm"}, {"variant", "v7"}}}});
    Platforms() { REQUIRE(io.run(put(source.get(), root, "v1"))); }
    Result<Descriptor> take(Repository& target, std::vector<std::string> platforms) {
        return io.run(
            copy(*source, {.tag = "v1", .digest = {}}, target, "v1", {.platforms = std::move(platforms)}));
    }
};

} // namespace

TEST_CASE("a platform without a variant takes in any", "[oci]") {
    Descriptor arm{.media_type = "",
                   .digest = {},
                   .platform = json::Value{{"os", "linux"}, {"architecture", "arm"}, {"variant", "v7"}}};
    CHECK(takes_in("linux/arm/v7", arm));
    CHECK(takes_in("linux/arm", arm));
    CHECK(!takes_in("linux/arm/v6", arm));
    CHECK(!takes_in("linux/arm64", arm));
    CHECK(!takes_in("linux", arm));
    CHECK(!takes_in("linux/amd64", Descriptor{.media_type = "", .digest = {}}));
}

TEST_CASE_METHOD(Platforms, "of one platform its own manifest becomes the root", "[oci]") {
    auto target = local("one");
    const auto copied = take(*target, {"linux/arm64"});
    REQUIRE(copied);
    CHECK(copied->digest == arm.descriptor.digest);
    CHECK(io.run(target->fetch_manifest({.tag = "v1", .digest = {}})).value().body == arm.body);
    CHECK(io.run(target->has_blob(describe_blob("amd"))) == false);
}

TEST_CASE_METHOD(Platforms, "of several platforms a new index names them", "[oci]") {
    auto target = local("two");
    const auto copied = take(*target, {"linux/amd64", "linux/arm/v7"});
    REQUIRE(copied);
    CHECK(copied->digest != root.descriptor.digest);
    const auto index = io.run(target->fetch_manifest({.tag = "v1", .digest = {}})).value();
    const auto parsed = Manifest::parse(index.body, index.descriptor.media_type).value();
    REQUIRE(parsed.manifests.size() == 2);
    CHECK(parsed.manifests[0].digest == amd.descriptor.digest);
    CHECK(parsed.manifests[1].digest == arm7.descriptor.digest);
    CHECK(parsed.manifests[1].platform->at("variant") == "v7");
    CHECK(io.run(target->has_blob(describe_blob("arm"))) == false);
    CHECK(take(*target, {"linux/amd64", "linux/arm/v7"})->digest == copied->digest);
}

TEST_CASE_METHOD(Platforms, "a platform that is not there is said with those that are", "[oci]") {
    const auto missing = take(*local("none"), {"windows/amd64"});
    REQUIRE(!missing);
    CHECK(missing.error().code == Code::not_found);
    CHECK(missing.error().hint.contains("linux/arm64/v8"));
}

TEST_CASE("referrers travel along between all kinds of repository, and only when asked to", "[oci]") {
    const std::string from = GENERATE("local", "remote", "layout", "old"),
                      to = GENERATE("local", "layout", "old");
    CAPTURE(from, to);
    Site site;
    FakeRegistry old;
    old.quirks.has_referrers_api = false;
    FakeClient client;
    const auto at = [&](const std::string& kind, const std::string& name) {
        return kind == "old" ? client.open(old, name) : open(site, kind, name);
    };
    auto& io = from == "old" || to == "old" ? client.io : site.io;
    auto source = at(from, "source"), target = at(to, "target"), bare = at(to, "bare");
    const auto one = push_artifact(io, *source, {"one"}, "");
    const auto root = make_index({one});
    REQUIRE(io.run(put(source.get(), root, "v1")));
    const auto signature = push_artifact(io, *source, {"signature"}, "", root.descriptor);
    const auto sbom = push_artifact(io, *source, {"sbom"}, "", one.descriptor);
    const auto of_sbom = push_artifact(io, *source, {"signed sbom"}, "", sbom.descriptor);
    const auto cosign =
        push_artifact(io, *source, {"cosign"}, "sha256-" + std::string(one.descriptor.digest.hex()) + ".sig");

    REQUIRE(io.run(copy(*source, {.tag = "v1", .digest = {}}, *bare, "v1")));
    if (to != "old") CHECK(io.run(bare->has_blob(describe_blob("sbom"))) == false); // the fake has one store

    REQUIRE(io.run(copy(*source, {.tag = "v1", .digest = {}}, *target, "v1", {.referrers = true})));
    const auto listed = [&](const ManifestBytes& subject) {
        std::set<Digest> out;
        for (const auto& item : io.run(target->referrers(subject.descriptor.digest)).value())
            out.insert(item.digest);
        return out;
    };
    CHECK(listed(root) == std::set<Digest>{signature.descriptor.digest});
    CHECK(listed(one) == std::set<Digest>{sbom.descriptor.digest});
    CHECK(listed(sbom) == std::set<Digest>{of_sbom.descriptor.digest});
    CHECK(io.run(target->fetch_manifest({.tag = {}, .digest = of_sbom.descriptor.digest})).value().body ==
          of_sbom.body);
    CHECK(io.run(target->fetch_manifest(
                     {.tag = "sha256-" + std::string(one.descriptor.digest.hex()) + ".sig", .digest = {}}))
              .value()
              .body == cosign.body);
}

TEST_CASE_METHOD(Site, "within one registry blobs are mounted, not sent", "[oci]") {
    push_artifact(io, *local("from"), {"x", std::string(100'000, 'y')}, "v1");
    const bool remotely = GENERATE(true, false);
    auto source = remotely ? remote("from") : local("from"), target = remotely ? remote("to") : local("to");
    CopyProgress last;
    REQUIRE(io.run(copy(*source, {.tag = "v1", .digest = {}}, *target, "v1",
                        {.on_progress = [&](const CopyProgress& p) { last = p; }})));
    CHECK(last.bytes_skipped == last.bytes_total);
    CHECK(last.bytes_done == 0);
    CHECK(io.run(fetch_text(local("to").get(), describe_blob("x"))) == "x");
}

TEST_CASE("an interrupted blob goes on from what is there, for another copy of the same state", "[oci]") {
    const std::string to = GENERATE("local", "layout", "remote");
    CAPTURE(to);
    Site site;
    FakeRegistry fake;
    FakeClient client;
    const std::string big(3u << 20, 'b');
    auto seeded = client.open(fake, "a");
    push_artifact(client.io, *seeded, {big}, "v1");
    fake.forget();
    const auto state = site.directory.path() / "state";

    auto with = client.options(fake);
    with.retry.attempts = 1; // the first copy does not survive the break
    auto target = open(site, to, "target");
    fake.quirks.break_download_at = 2u << 20;
    auto& io = client.io;
    const auto once = [&] {
        return io.run(copy(*open_remote(*client.http, with, "a"), {.tag = "v1", .digest = {}},
                           to == "remote" ? *target : *target, "v1", {.state_directory = state}));
    };
    if (to == "remote") { // both ends on one client
        target = open_remote(
            *client.http, {.registry = net::Url::parse(site.base()).value(), .retry = with.retry}, "target");
    }
    REQUIRE(!once());
    fake.quirks.break_download_at = 0;
    fake.forget();
    target.reset();
    target = to == "remote"
                 ? open_remote(*client.http, {.registry = net::Url::parse(site.base()).value()}, "target")
                 : open(site, to, "target");
    REQUIRE(once());
    std::uint64_t from = 0;
    for (const auto& asked : fake.asked())
        if (asked.path.contains(describe_blob(big).digest.str()) && asked.verb == "GET" &&
            !asked.range.empty())
            from = std::stoull(asked.range.substr(6));
    CHECK(from > 1u << 20);
    CHECK(io.run(fetch_text(target.get(), describe_blob(big))) == big);
    CHECK(std::filesystem::is_empty(state)); // nothing is left to remember
}
