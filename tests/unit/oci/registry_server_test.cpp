#include "registry_site.hpp"

using namespace consign;
using namespace consign::oci;
using namespace consign::oci::testing;
using net::Verb;

namespace {

const Digest kHello = Digest::sha256_of("hello");
const std::string kHelloPath = "/v2/shop/web/blobs/" + kHello.str();

/// Pushes "hello" through the API in one request.
void push_hello(Site& site, const std::string& repository = "shop/web") {
    const auto done =
        site.send(Verb::post, "/v2/" + repository + "/blobs/uploads/?digest=" + kHello.str(), "hello");
    REQUIRE(done.status == 201);
    CHECK(done.header("Docker-Content-Digest") == kHello.str());
    CHECK(done.header("Location") == "/v2/" + repository + "/blobs/" + kHello.str());
}

std::string begin(Site& site) {
    const auto begun = site.send(Verb::post, "/v2/shop/web/blobs/uploads/");
    REQUIRE(begun.status == 202);
    return begun.header("Location");
}

} // namespace

TEST_CASE_METHOD(Site, "the base endpoint says which API this is", "[oci]") {
    const auto answer = get("/v2/");
    CHECK(answer.status == 200);
    CHECK(answer.header("Docker-Distribution-Api-Version") == "registry/2.0");
    CHECK(get("/v2/nothing").status == 404);
    CHECK(get("/v2/A/tags/list").code() == "NAME_INVALID");
    CHECK(send(Verb::put, "/v2/a/tags/list").code() == "UNSUPPORTED");
}

TEST_CASE_METHOD(Site, "blobs are served whole, by range, and by condition", "[oci]") {
    push_hello(*this);
    const auto whole = get(kHelloPath);
    CHECK(whole.status == 200);
    CHECK(whole.body == "hello");
    CHECK(whole.header("Docker-Content-Digest") == kHello.str());
    const auto headed = head(kHelloPath);
    CHECK(headed.status == 200);
    CHECK(headed.header("Content-Length") == "5");
    CHECK(headed.body.empty());

    const auto part = get(kHelloPath, {{"Range", "bytes=1-3"}});
    CHECK(part.status == 206);
    CHECK(part.body == "ell");
    CHECK(part.header("Content-Range") == "bytes 1-3/5");
    const auto beyond = get(kHelloPath, {{"Range", "bytes=9-"}});
    CHECK(beyond.status == 416);
    CHECK(beyond.header("Content-Range") == "bytes */5");
    CHECK(get(kHelloPath, {{"If-None-Match", whole.header("ETag")}}).status == 304);

    CHECK(get("/v2/shop/web/blobs/" + Digest::sha256_of("?").str()).code() == "BLOB_UNKNOWN");
    CHECK(get("/v2/shop/other/blobs/" + kHello.str()).code() == "BLOB_UNKNOWN"); // pushed elsewhere only
    CHECK(get("/v2/shop/web/blobs/sha256:1").code() == "DIGEST_INVALID");
    CHECK(send(Verb::delete_, kHelloPath).status == 202);
    CHECK(send(Verb::delete_, kHelloPath).status == 404);
    CHECK(get(kHelloPath).status == 404);
}

TEST_CASE_METHOD(Site, "a blob is pushed in chunks that must be in order", "[oci]") {
    const auto upload = begin(*this);
    const auto first = send(Verb::patch, upload, "hel", {{"Content-Range", "0-2"}});
    CHECK(first.status == 202);
    CHECK(first.header("Range") == "0-2");
    const auto gap = send(Verb::patch, upload, "o", {{"Content-Range", "4-4"}});
    CHECK(gap.status == 416);
    CHECK(gap.header("Range") == "0-2");
    CHECK(send(Verb::patch, upload, "l", {{"Content-Range", "3-9"}}).status == 416); // not as long as it says
    const auto status = get(upload);
    CHECK(status.status == 204);
    CHECK(status.header("Range") == "0-2");
    CHECK(send(Verb::patch, upload, "l").status == 202); // streamed: no range
    const auto done = send(Verb::put, upload + "?digest=" + kHello.str(), "o", {{"Content-Range", "4-4"}});
    CHECK(done.status == 201);
    CHECK(get(kHelloPath).body == "hello");
    CHECK(get(upload).code() == "BLOB_UPLOAD_UNKNOWN");
}

TEST_CASE_METHOD(Site, "a wrong or missing digest is refused", "[oci]") {
    const auto upload = begin(*this);
    CHECK(send(Verb::put, upload, "x").code() == "DIGEST_INVALID");
    CHECK(send(Verb::put, upload + "?digest=sha256:0", "x").code() == "DIGEST_INVALID");
    CHECK(send(Verb::put, upload + "?digest=" + kHello.str(), "jello").code() == "DIGEST_INVALID");
    CHECK(get(upload).status == 404);
    CHECK(get(kHelloPath).status == 404);
    CHECK(send(Verb::post, "/v2/shop/web/blobs/uploads/?digest=" + kHello.str(), "jello").status == 400);
    const auto abandoned = begin(*this);
    CHECK(send(Verb::delete_, abandoned).status == 204);
    CHECK(send(Verb::delete_, abandoned).code() == "BLOB_UPLOAD_UNKNOWN");
}

TEST_CASE_METHOD(Site, "a blob is mounted from where it may be read", "[oci]") {
    push_hello(*this);
    const std::string mount = "/blobs/uploads/?mount=" + kHello.str() + "&from=shop/web";
    policy.grant = {
        .scopes = {{.repository = "shop/new", .actions = {Action::pull, Action::push}, .only = {}}}};
    CHECK(send(Verb::post, "/v2/shop/new" + mount).status == 202); // no pull on shop/web: an upload begins
    CHECK(get("/v2/shop/new/blobs/" + kHello.str()).status == 404);
    policy.grant.scopes.push_back({.repository = "shop/web", .actions = {Action::pull}, .only = {}});
    CHECK(send(Verb::post, "/v2/shop/new" + mount).status == 201);
    CHECK(get("/v2/shop/new/blobs/" + kHello.str()).body == "hello");
    CHECK(send(Verb::post,
               "/v2/shop/new/blobs/uploads/?mount=" + Digest::sha256_of("?").str() + "&from=shop/web")
              .status == 202);
}

TEST_CASE_METHOD(Site, "manifests go by tag and digest, and need what they name", "[oci]") {
    const auto manifest = make_manifest("application/vnd.test", describe_blob("hello"), {});
    const auto digest = manifest.descriptor.digest.str();
    const std::string at = "/v2/shop/web/manifests/";
    const Fields type{{"Content-Type", manifest.descriptor.media_type}};
    const auto early = send(Verb::put, at + "v1", manifest.body, type);
    CHECK(early.status == 404); // what is missing is not the manifest that was sent
    CHECK(early.code() == "MANIFEST_BLOB_UNKNOWN");
    push_hello(*this);
    const auto put = send(Verb::put, at + "v1", manifest.body, type);
    CHECK(put.status == 201);
    CHECK(put.header("Docker-Content-Digest") == digest);
    CHECK(put.header("Location") == at + digest);
    CHECK(send(Verb::put, at + kHello.str(), manifest.body, type).code() == "DIGEST_INVALID");
    CHECK(send(Verb::put, at + "v2", "{}", type).code() == "MANIFEST_INVALID");
    CHECK(send(Verb::put, at + "v2", manifest.body, {{"Content-Type", "text/plain"}}).code() ==
          "MANIFEST_INVALID");
    CHECK(send(Verb::put, at + "v2", std::string(kManifestLimitBytes + 1, ' '), type).status == 413);

    for (const auto& name : {std::string("v1"), digest}) {
        const auto got = get(at + name);
        CHECK(got.status == 200);
        CHECK(got.body == manifest.body);
        CHECK(got.header("Content-Type") == manifest.descriptor.media_type);
        CHECK(head(at + name).header("Content-Length") == std::to_string(manifest.body.size()));
        CHECK(get(at + name, {{"If-None-Match", got.header("ETag")}}).status == 304);
    }
    CHECK(get(at + "nope").code() == "MANIFEST_UNKNOWN");
    CHECK(get(at + ".invalid").status == 404);

    CHECK(send(Verb::delete_, at + "v1").status == 202);
    CHECK(get(at + "v1").status == 404);
    CHECK(get(at + digest).status == 200);
    CHECK(send(Verb::put, at + "v2", manifest.body, type).status == 201);
    CHECK(send(Verb::delete_, at + digest).status == 202);
    CHECK(get(at + "v2").status == 404); // its tags go with it
    CHECK(send(Verb::delete_, at + digest).status == 404);
}

TEST_CASE_METHOD(Site, "an index needs its children", "[oci]") {
    auto repository = local("shop/web");
    const auto child = make_manifest("application/vnd.test", describe_blob("hello"), {});
    const auto index = make_index({child});
    const Fields type{{"Content-Type", index.descriptor.media_type}};
    CHECK(send(Verb::put, "/v2/shop/web/manifests/all", index.body, type).code() == "MANIFEST_BLOB_UNKNOWN");
    push_hello(*this);
    REQUIRE(io.run(put(repository.get(), child, "")));
    CHECK(send(Verb::put, "/v2/shop/web/manifests/all", index.body, type).status == 201);
}

TEST_CASE_METHOD(Site, "tags are listed sorted and in pages", "[oci]") {
    auto repository = local("shop/web");
    for (const char* tag : {"c", "a", "d", "b"}) push_artifact(io, *repository, {}, tag);
    CHECK(get("/v2/shop/web/tags/list").body == R"({"name":"shop/web","tags":["a","b","c","d"]})");
    auto page = get("/v2/shop/web/tags/list?n=3");
    CHECK(page.body == R"({"name":"shop/web","tags":["a","b","c"]})");
    CHECK(page.header("Link") == R"(</v2/shop/web/tags/list?n=3&last=c>; rel="next")");
    page = get("/v2/shop/web/tags/list?n=3&last=c");
    CHECK(page.body == R"({"name":"shop/web","tags":["d"]})");
    CHECK(page.header("Link").empty());
    CHECK(get("/v2/shop/web/tags/list?n=0").body == R"({"name":"shop/web","tags":[]})");
    CHECK(get("/v2/shop/web/tags/list?n=x").status == 400);
    CHECK(get("/v2/shop/none/tags/list").code() == "NAME_UNKNOWN");
    CHECK(get("/v2/_catalog").body == R"({"repositories":["shop/web"]})");
    policy.grant = {.scopes = {{.repository = "shop/web", .actions = {Action::pull}, .only = {}}}};
    CHECK(get("/v2/_catalog").code() == "DENIED");
    CHECK(io.run(registry->tags("shop/web")).value().size() == 4);
    CHECK(io.run(registry->repositories()).value() == std::vector<std::string>{"shop/web"});
}

TEST_CASE_METHOD(Site, "referrers are found by subject and filtered by type", "[oci]") {
    auto repository = local("shop/web");
    const auto root = push_artifact(io, *repository, {"data"}, "v1");
    const auto signature = push_artifact(io, *repository, {"signature"}, "", root.descriptor);
    const auto at = "/v2/shop/web/referrers/" + root.descriptor.digest.str();
    const auto all = get(at);
    CHECK(all.status == 200);
    CHECK(all.header("Content-Type") == media::kImageIndex);
    const auto listed = json::parse(all.body).value().at("manifests");
    REQUIRE(listed.size() == 1);
    CHECK(listed[0].at("digest") == signature.descriptor.digest.str());
    CHECK(listed[0].at("artifactType") == "application/vnd.test");
    CHECK(listed[0].at("annotations").at("layers") == "1");
    const auto filtered = get(at + "?artifactType=application/other");
    CHECK(json::parse(filtered.body).value().at("manifests").empty());
    CHECK(filtered.header("OCI-Filters-Applied") == "artifactType");
    CHECK(json::parse(get("/v2/shop/web/referrers/" + kHello.str()).body).value().at("manifests").empty());
    const auto put = send(Verb::put, "/v2/shop/web/manifests/sig", signature.body,
                          {{"Content-Type", signature.descriptor.media_type}});
    CHECK(put.header("OCI-Subject") == root.descriptor.digest.str());
}

TEST_CASE_METHOD(Site, "a grant for one artifact reads its closure and nothing else", "[oci]") {
    auto repository = local("shop/web");
    const auto child = push_artifact(io, *repository, {"mine"}, "");
    const auto root = make_index({child});
    REQUIRE(io.run(put(repository.get(), root, "all")));
    const auto other = push_artifact(io, *repository, {"theirs"}, "other", root.descriptor);
    policy.grant = {
        .scopes = {{.repository = "shop/web", .actions = {Action::pull}, .only = root.descriptor.digest}}};

    const std::string manifests = "/v2/shop/web/manifests/", blobs = "/v2/shop/web/blobs/";
    CHECK(get(manifests + root.descriptor.digest.str()).status == 200);
    CHECK(get(manifests + child.descriptor.digest.str()).status == 200);
    CHECK(get(blobs + describe_blob("mine").digest.str()).body == "mine");
    CHECK(get(blobs + describe_blob("{}").digest.str()).body == "{}");

    CHECK(get(manifests + other.descriptor.digest.str()).code() == "MANIFEST_UNKNOWN");
    CHECK(get(blobs + describe_blob("theirs").digest.str()).code() == "BLOB_UNKNOWN");
    CHECK(head(blobs + describe_blob("theirs").digest.str()).status == 404);
    CHECK(get(manifests + "all").code() == "DENIED");
    CHECK(get("/v2/shop/web/tags/list").code() == "DENIED");
    CHECK(get("/v2/_catalog").code() == "DENIED");
    CHECK(get("/v2/shop/else/blobs/" + kHello.str()).code() == "DENIED");
    CHECK(json::parse(get("/v2/shop/web/referrers/" + root.descriptor.digest.str()).body)
              .value()
              .at("manifests")
              .empty());
    CHECK(send(Verb::post, "/v2/shop/web/blobs/uploads/").code() == "DENIED");
    CHECK(send(Verb::delete_, manifests + root.descriptor.digest.str()).code() == "DENIED");
}

TEST_CASE("a read-only registry refuses every write", "[oci]") {
    Site site(true);
    for (const auto& [verb, path] :
         std::initializer_list<std::pair<Verb, std::string>>{{Verb::post, "/v2/a/blobs/uploads/"},
                                                             {Verb::patch, "/v2/a/blobs/uploads/x"},
                                                             {Verb::put, "/v2/a/manifests/v1"},
                                                             {Verb::delete_, "/v2/a/manifests/v1"},
                                                             {Verb::delete_, kHelloPath}}) {
        const auto answer = site.send(verb, path);
        CHECK(answer.status == 405);
        CHECK(answer.code() == "UNSUPPORTED");
    }
    push_artifact(site.io, *site.local("a"), {"x"}, "v1"); // in process it is written
    CHECK(site.get("/v2/a/manifests/v1").status == 200);
}

TEST_CASE_METHOD(Site, "without a credential the challenge names what is needed", "[oci]") {
    policy.tokens = true;
    const auto answer = send(Verb::post, "/v2/shop/web/blobs/uploads/");
    CHECK(answer.status == 401);
    CHECK(answer.code() == "UNAUTHORIZED");
    CHECK(answer.header("WWW-Authenticate") ==
          "Bearer realm=\"" + base() + "/token\",service=\"test\",scope=\"repository:shop/web:pull,push\"");
    CHECK(get("/v2/").header("WWW-Authenticate") == "Bearer realm=\"" + base() + "/token\",service=\"test\"");
    CHECK(get("/v2/A/tags/list").header("WWW-Authenticate") ==
          "Bearer realm=\"" + base() + "/token\",service=\"test\"");
}
