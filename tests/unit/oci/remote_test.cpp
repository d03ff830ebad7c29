// The client against registries as they are (../shared/facts.md, and what the spec allows).
#include "fake_registry.hpp"
#include "oci/registry_client.hpp"
#include "oci/remote_repository.hpp"
#include "registry_site.hpp"

using namespace consign;
using namespace consign::oci;
using namespace consign::oci::testing;

namespace {

struct World : FakeClient {
    FakeRegistry fake;

    void seed(const std::string& text) { fake.blobs[Digest::sha256_of(text).str()] = text; }
    std::string stored(const std::string& text) const {
        const auto found = fake.blobs.find(Digest::sha256_of(text).str());
        return found == fake.blobs.end() ? "not there" : found->second;
    }
};

net::Async<Result<std::unique_ptr<net::Source>>> open_text(std::shared_ptr<std::string> text,
                                                           std::uint64_t offset) {
    co_return std::make_unique<TextSource>(std::string_view(*text).substr(offset));
}
net::Async<void> note(std::vector<std::string>* into, std::string session) {
    into->push_back(std::move(session));
    co_return;
}

struct Pushed {
    Push push;
    std::shared_ptr<std::string> text;
    std::vector<std::uint64_t> opened;
    std::vector<std::string> sessions;
    std::uint64_t spared = 0;

    explicit Pushed(std::string content) : text(std::make_shared<std::string>(std::move(content))) {
        push.blob = describe_blob(*text);
        push.open = [this](std::uint64_t offset) {
            opened.push_back(offset);
            return open_text(text, offset);
        };
        push.remember = [this](std::string session) { return note(&sessions, std::move(session)); };
        push.on_spared = [this](std::uint64_t bytes) { spared = bytes; };
    }
    Pushed(Pushed&&) = delete;
};

std::string noise(std::size_t size) {
    std::string out(size, 'x');
    std::uint32_t state = 1;
    for (auto& c : out) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
    return out;
}

} // namespace

TEST_CASE("how long to wait is read from seconds and from a date", "[oci]") {
    net::Headers headers;
    const auto now = from_millis(1'700'000'000'000); // Tue, 14 Nov 2023 22:13:20 GMT
    CHECK(!retry_after(headers, now));
    headers.set("Retry-After", "7");
    CHECK(retry_after(headers, now) == std::chrono::seconds(7));
    headers.set("Retry-After", "Tue, 14 Nov 2023 22:13:50 GMT");
    CHECK(retry_after(headers, now) == std::chrono::seconds(30));
    headers.set("Retry-After", "Tue, 14 Nov 2023 22:00:00 GMT");
    CHECK(retry_after(headers, now) == std::chrono::seconds(0));
    headers.set("Retry-After", "soon");
    CHECK(!retry_after(headers, now));
}

TEST_CASE("the next page is found in a Link field", "[oci]") {
    net::Headers headers;
    CHECK(!next_page(headers));
    headers.add("Link", "</v2/_catalog?n=2&last=a>; rel=\"prev\"");
    CHECK(!next_page(headers));
    headers.add("Link", "</v2/_catalog?n=2&last=b>; rel=\"next\"");
    CHECK(next_page(headers) == "/v2/_catalog?n=2&last=b");
}

TEST_CASE_METHOD(World, "requests that can be sent again are, when the registry is busy", "[oci]") {
    const auto status = GENERATE(429, 500, 502, 503, 504);
    seed("blob");
    const auto repository = open(fake);
    fake.quirks.status_of_refusal = status;
    fake.quirks.refuse_first = 3;
    CHECK(io.run(fetch_text(repository.get(), describe_blob("blob"))) == "blob");
    CHECK(fake.count("GET", "/blobs/") == 4);
    fake.quirks.refuse_first = 3;
    CHECK(io.run(push_text(repository.get(), "another")));
    CHECK(stored("another") == "another");
    fake.quirks.refuse_first = 4;
    CHECK(!io.run(fetch_text(repository.get(), describe_blob("blob"))));
}

TEST_CASE_METHOD(World, "a download that breaks goes on where it stopped", "[oci]") {
    const auto big = noise(300'000);
    seed(big);
    fake.quirks.break_download_at = 100'000;
    fake.quirks.ignores_range = GENERATE(false, true);
    const auto repository = open(fake);
    const auto got = io.run(fetch_text(repository.get(), describe_blob(big)));
    if (fake.quirks.ignores_range) { // it comes to the same place each time
        CHECK(!got);
        CHECK(fake.count("GET", "/blobs/") > 1);
        return;
    }
    CHECK(got == big);
    const auto asked = fake.asked();
    REQUIRE(asked.size() == 3);
    CHECK(asked[0].range.empty());
    CHECK(asked[1].range == "bytes=100000-");
    CHECK(asked[2].range == "bytes=200000-");
}

TEST_CASE_METHOD(World, "a part of a blob is read also from a registry that ignores Range", "[oci]") {
    seed("0123456789");
    fake.quirks.ignores_range = GENERATE(false, true);
    const auto repository = open(fake);
    const auto rest = [](Repository* from, std::uint64_t offset) -> net::Async<Result<std::string>> {
        CONSIGN_CO_TRY(source, co_await from->fetch_blob_from(describe_blob("0123456789"), offset));
        co_return co_await net::read_all(*source, 100);
    };
    CHECK(io.run(rest(repository.get(), 4)) == "456789");
}

TEST_CASE_METHOD(World, "redirects to another host carry no credential", "[oci]") {
    FakeRegistry storage;
    seed("blob");
    storage.blobs = fake.blobs;
    fake.quirks.token = "t";
    fake.quirks.redirect_blobs_to = storage.base();
    auto with = options(fake);
    with.password = Secret<std::string>("secret");
    const auto repository = open_remote(*http, with, "a");
    CHECK(io.run(fetch_text(repository.get(), describe_blob("blob"))) == "blob");
    REQUIRE(storage.asked().size() == 1);
    CHECK(storage.asked()[0].authorization.empty());
    CHECK(storage.asked()[0].query == "signature=x");
    CHECK(fake.asked().back().authorization == "Bearer t");
}

TEST_CASE_METHOD(World,
                 "a token is asked for by GET, by POST where GET is not taken, and with a refresh token",
                 "[oci]") {
    seed("blob");
    fake.quirks.token = "t";
    auto with = options(fake);
    SECTION("GET") {
        with.password = Secret<std::string>("secret");
        CHECK(io.run(fetch_text(open_remote(*http, with, "a").get(), describe_blob("blob"))) == "blob");
        CHECK(fake.count("GET", "/token") == 1);
    }
    SECTION("POST") {
        fake.quirks.token_by_post_only = true;
        with.password = Secret<std::string>("secret");
        CHECK(io.run(fetch_text(open_remote(*http, with, "a").get(), describe_blob("blob"))) == "blob");
        CHECK(fake.grant_asked == "password");
    }
    SECTION("refresh") {
        with.identity_token = Secret<std::string>("refresh");
        CHECK(io.run(fetch_text(open_remote(*http, with, "a").get(), describe_blob("blob"))) == "blob");
        CHECK(fake.grant_asked == "refresh_token");
        CHECK(fake.count("GET", "/token") == 0);
    }
    SECTION("refused") {
        with.identity_token = Secret<std::string>("wrong");
        CHECK(io.run(fetch_text(open_remote(*http, with, "a").get(), describe_blob("blob"))).error().code ==
              Code::unauthenticated);
        return;
    }
    CHECK(fake.scope_asked == "repository:a:pull");
}

TEST_CASE_METHOD(World, "a registry is asked whether the credential is good", "[oci]") {
    fake.quirks.token = "t";
    auto with = options(fake);
    with.password = Secret<std::string>(GENERATE("secret", "wrong"));
    RemoteRegistry registry(*http, with);
    const auto said = io.run(registry.ping());
    CHECK(said.has_value() == (with.password.reveal() == "secret"));
}

TEST_CASE_METHOD(World, "the Location of an upload may be absolute and have a query", "[oci]") {
    fake.quirks.absolute_location = GENERATE(false, true);
    const auto repository = open(fake);
    REQUIRE(io.run(push_text(repository.get(), "blob")));
    CHECK(stored("blob") == "blob");
    const auto big = noise(200'000);
    REQUIRE(io.run(push_text(repository.get(), big)));
    CHECK(stored(big) == big);
    CHECK(io.run(push_text(repository.get(), "")));
}

TEST_CASE_METHOD(World, "an upload that breaks goes on with PATCH", "[oci]") {
    Pushed pushed(noise(300'000));
    fake.quirks.break_upload_at = 100'000;
    fake.quirks.absolute_location = true; // the state in its query is that of the session
    const auto repository = open(fake);
    const bool keeps_state = GENERATE(true, false);
    fake.quirks.absolute_location = !keeps_state;
    REQUIRE(io.run(repository->push(std::move(pushed.push))));
    CHECK(stored(*pushed.text) == *pushed.text);
    if (keeps_state) {
        CHECK(pushed.opened == std::vector<std::uint64_t>{0, 100'000});
        CHECK(pushed.spared == 100'000);
        CHECK(fake.count("POST", "uploads") == 1);
    } else { // docker-registry drops a session whose state is not its own: the upload begins anew
        CHECK(pushed.opened == std::vector<std::uint64_t>{0, 0});
        CHECK(fake.count("POST", "uploads") == 2);
    }
    CHECK(pushed.sessions.back().empty()); // nothing to go on with any more
}

TEST_CASE_METHOD(World, "a session of an earlier process is gone on with, or replaced when it is gone",
                 "[oci]") {
    const auto text = noise(300'000);
    const auto repository = open(fake);
    const bool there = GENERATE(true, false);
    if (there) fake.uploads["old"] = text.substr(0, 123'456);
    Pushed pushed(text);
    pushed.push.session = fake.base() + "/v2/some/where/blobs/uploads/old";
    REQUIRE(io.run(repository->push(std::move(pushed.push))));
    CHECK(stored(text) == text);
    CHECK(pushed.opened == std::vector<std::uint64_t>{there ? 123'456u : 0u});
    CHECK(fake.count("POST", "uploads") == (there ? 0 : 1));
    if (there) {
        CHECK(fake.count("PATCH", "uploads/old") == 1);
        for (const auto& asked : fake.asked())
            if (asked.verb == "PATCH") CHECK(asked.content_range == "123456-299999");
    }
}

TEST_CASE_METHOD(World, "a session with other bytes than ours is dropped", "[oci]") {
    const auto text = noise(300'000);
    fake.uploads["old"] = std::string(1000, 'y');
    Pushed pushed(text);
    pushed.push.session = fake.base() + "/v2/some/where/blobs/uploads/old";
    REQUIRE(io.run(open(fake)->push(std::move(pushed.push))));
    CHECK(stored(text) == text);
    CHECK(pushed.opened == std::vector<std::uint64_t>{1000, 0});
}

TEST_CASE_METHOD(World, "a registry that refuses a large request gets chunks", "[oci]") {
    fake.quirks.refuses_whole = true;
    fake.quirks.needs_chunks_of = GENERATE(false, true);
    const auto size = (16u << 20) + 1000u;
    Pushed pushed(noise(size));
    REQUIRE(io.run(open(fake)->push(std::move(pushed.push))));
    CHECK(stored(*pushed.text) == *pushed.text);
    CHECK(fake.count("PATCH", "uploads") == (fake.quirks.needs_chunks_of ? 1 : 2));
}

TEST_CASE_METHOD(World, "a registry that drops chunks and says 201 is found out", "[oci]") {
    fake.quirks.keeps_first_chunk = true;
    SECTION("and gets it in one piece after an interrupted upload") {
        const auto text = noise(300'000);
        fake.uploads["old"] = text.substr(0, 1000);
        Pushed pushed(text);
        pushed.push.session = fake.base() + "/v2/some/where/blobs/uploads/old";
        REQUIRE(io.run(open(fake)->push(std::move(pushed.push))));
        CHECK(stored(text) == text);
    }
    SECTION("and is named when it takes no other") {
        fake.quirks.refuses_whole = true;
        Pushed pushed(noise((16u << 20) + 1000u));
        const auto done = io.run(open(fake)->push(std::move(pushed.push)));
        REQUIRE(!done);
        CHECK(done.error().code == Code::corrupt);
    }
}

TEST_CASE_METHOD(World, "what another repository has is mounted, or sent where that is refused", "[oci]") {
    const auto text = noise(1000);
    seed(text);
    fake.quirks.mounts = GENERATE(true, false);
    fake.quirks.refuses_mount = GENERATE(true, false);
    const bool mounted = fake.quirks.mounts && !fake.quirks.refuses_mount;
    Pushed pushed(text);
    pushed.push.mount_from = "other/place";
    REQUIRE(io.run(open(fake)->push(std::move(pushed.push))));
    CHECK(fake.count("POST", "from=other/place") == 1);
    CHECK(pushed.opened.size() == (mounted ? 0 : 1));
    CHECK(pushed.spared == (mounted ? 1000 : 0));
    CHECK(fake.count("POST", "uploads") == (fake.quirks.refuses_mount ? 2 : 1));
}

TEST_CASE_METHOD(World, "a manifest is read from a registry that does not say its digest", "[oci]") {
    fake.quirks.says_no_digest = true;
    const auto repository = open(fake);
    const auto manifest = push_artifact(io, *repository, {"x"}, "v1");
    const auto got = io.run(repository->fetch_manifest({.tag = "v1", .digest = {}}));
    REQUIRE(got);
    CHECK(got->descriptor.digest == manifest.descriptor.digest);
    fake.manifests[manifest.descriptor.digest.str()].second += " ";
    CHECK(
        io.run(repository->fetch_manifest({.tag = {}, .digest = manifest.descriptor.digest})).error().code ==
        Code::corrupt);
}

TEST_CASE_METHOD(World, "referrers are listed by the API or by the fallback tag", "[oci]") {
    fake.quirks.has_referrers_api = GENERATE(true, false);
    const auto repository = open(fake);
    const auto image = push_artifact(io, *repository, {"x"}, "v1");
    CHECK(io.run(repository->referrers(image.descriptor.digest)).value().empty());
    const auto one = push_artifact(io, *repository, {"signature"}, "", image.descriptor);
    const auto two = push_artifact(io, *repository, {"sbom", "more"}, "", image.descriptor);
    REQUIRE(io.run(put(repository.get(), two, ""))); // twice is once
    auto listed = io.run(repository->referrers(image.descriptor.digest)).value();
    REQUIRE(listed.size() == 2);
    std::set<Digest> digests{listed[0].digest, listed[1].digest};
    CHECK(digests == std::set<Digest>{one.descriptor.digest, two.descriptor.digest});
    const auto tag = fallback_tag(image.descriptor.digest);
    CHECK(fake.manifests.contains(tag) == !fake.quirks.has_referrers_api);
    if (!fake.quirks.has_referrers_api) CHECK(listed[0].artifact_type == "application/vnd.test");
}

TEST_CASE_METHOD(World, "a fallback tag that is the image itself lists nothing", "[oci]") {
    fake.quirks.has_referrers_api = false;
    fake.quirks.fallback_is_image = true;
    const auto repository = open(fake);
    const auto image = push_artifact(io, *repository, {"x"}, "v1");
    CHECK(io.run(repository->referrers(image.descriptor.digest)).value().empty());
    Site site;
    const auto target = site.local("copy");
    CHECK(
        site.io.run(copy(*site.local("nothing"), {.tag = "v1", .digest = {}}, *target, "v1")).error().code ==
        Code::not_found);
    CHECK(io.run(
        copy(*repository, {.tag = "v1", .digest = {}}, *open(fake, "other"), "v1", {.referrers = true})));
}

TEST_CASE_METHOD(World, "a registry that is not there is said quickly, and which", "[oci]") {
    auto with = options(fake);
    with.registry = net::Url::parse("http://127.0.0.1:9").value();
    const auto got = io.run(open_remote(*http, with, "a")->fetch_manifest({.tag = "v1", .digest = {}}));
    REQUIRE(!got);
    CHECK(got.error().code == Code::unavailable);
    CHECK(got.error().message.contains("127.0.0.1:9"));
}
