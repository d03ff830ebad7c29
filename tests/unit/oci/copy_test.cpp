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
    CHECK(last.bytes_done == last.bytes_total);
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

TEST_CASE_METHOD(Site, "a directory that holds something else is no layout", "[oci]") {
    REQUIRE(make_directories(directory.path() / "mine"));
    REQUIRE(write_file_atomic(directory.path() / "mine/notes.txt", std::string_view("x")));
    CHECK(open_layout(directory.path() / "mine", io.blocking()).error().code == Code::invalid_argument);
}
