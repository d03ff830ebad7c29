#include "install/sync.hpp"
#include "vendor.hpp"
#include <algorithm>

using namespace consign;
using namespace consign::install;
using namespace consign::install::test;

namespace {

/// A file of the install's registry, by digest.
fs::path blob_file(const Site& site, const Digest& digest) {
    for (const auto& entry : fs::recursive_directory_iterator(site.data / "registry"))
        if (entry.path().filename() == digest.hex()) return entry.path();
    FAIL("no blob " + digest.str());
    return {};
}

net::Async<Result<oci::Manifest>> manifest_of(oci::Repository* repository, Digest digest) {
    CONSIGN_CO_TRY(found, co_await repository->fetch_manifest({.tag = {}, .digest = digest}));
    co_return oci::Manifest::parse(found.body, found.descriptor.media_type);
}

} // namespace

TEST_CASE("an artifact is synced with one token, and with none when it is here") {
    Vendor vendor;
    Site site;
    const auto spec = site.publish(Bundle("1.0"), *vendor.registry);
    auto job = site.context(json::encode(spec));
    job.token = vendor.token(spec.artifact);
    const auto applied = site.apply(job);
    INFO(applied.message());
    REQUIRE_FALSE(applied.error);
    CHECK(job.tokens == 1);
    CHECK(std::ranges::find(job.secrets, "one-time-password") != job.secrets.end());
    CHECK(site.network.io.run(site.registry->tags("shop/web")).value() == std::vector<std::string>{"1.0"});

    auto again = site.context(json::encode(spec));
    CHECK_FALSE(site.apply(again).error);
    CHECK(again.tokens == 0);
    CHECK(again.text.contains("is in the install's registry already"));
}

TEST_CASE("what cannot be synced or is not what the release says changes nothing") {
    Vendor vendor;
    Site site;
    REQUIRE_FALSE(site.apply(Bundle("1.0")).error);
    const auto pid = site.pid();

    auto missing = site.publish(Bundle("1.1"));
    missing.artifact.digest = Digest::sha256_of("nothing");
    auto job = site.context(json::encode(missing));
    job.token = vendor.token(missing.artifact);
    const auto failed = site.apply(job);
    REQUIRE(failed.error);
    CHECK(failed.error->message.starts_with("cannot copy the artifact from http://127.0.0.1:"));
    CHECK(failed.result.active_release == "1.0");
    CHECK(job.last_state == protocol::StepState::failed);

    auto wrong = site.context(json::encode(missing));
    wrong.token = vendor.token({"shop/other", missing.artifact.digest});
    CHECK(site.apply(wrong).error->message.starts_with("the pull token is for shop/other@"));
    CHECK(site.pid() == pid);
}

TEST_CASE("an IMS that is reached over https cannot have the token sent out in the clear") {
    Vendor vendor;
    Site site;
    const auto spec = site.publish(Bundle("1.0"), *vendor.registry);
    auto job = site.context(json::encode(spec));
    job.token = vendor.token(spec.artifact);
    job.ims_url = net::Url::parse("https://ims.example").value();
    const auto applied = site.apply(job);
    REQUIRE(applied.error);
    CHECK(applied.error->code == Code::permission_denied);
    CHECK(applied.error->message.contains("without TLS, at http://127.0.0.1:"));
    CHECK(vendor.requests == 0);
}

TEST_CASE("what is missing of an artifact that is here is brought again, and nothing else") {
    Vendor vendor;
    Site site;
    const auto spec = site.publish(Bundle("1.0"), *vendor.registry);
    const auto sync = [&](int tokens) {
        auto job = site.context(json::encode(spec));
        job.token = vendor.token(spec.artifact);
        CHECK_FALSE(site.apply(job).error);
        CHECK(job.tokens == tokens);
        return job.details.empty() ? "" : job.details.front();
    };
    CHECK(sync(1).ends_with(" bytes copied, 0 were here already"));
    CHECK(sync(0) == "already here; no token was spent");

    const auto local = site.registry->repository("shop/web").value();
    const auto manifest = site.network.io.run(manifest_of(local.get(), spec.artifact.digest));
    REQUIRE(manifest);
    REQUIRE(manifest->layers.size() == 1);
    const auto layer = manifest->layers.front();
    fs::remove(blob_file(site, layer.digest));
    CHECK_FALSE(site.network.io.run(has_closure(*local, spec.artifact.digest)).value());
    CHECK(sync(1).starts_with(std::to_string(layer.size) + " bytes copied, "));
    CHECK(site.network.io.run(has_closure(*local, spec.artifact.digest)).value());
}

TEST_CASE("the release is a tag where it can be one; the digest is what counts") {
    Vendor vendor;
    Site site;
    const auto first = site.publish(Bundle("1.0"), *vendor.registry);
    const auto second = site.publish(Bundle("1.1"), *vendor.registry);
    const auto sync = [&](protocol::ApplySpec spec, const std::string& release) {
        spec.release = release;
        auto job = site.context(json::encode(spec));
        job.token = vendor.token(spec.artifact);
        return !site.apply(job).error;
    };
    const auto tags = [&] { return site.network.io.run(site.registry->tags("shop/web")).value(); };
    CHECK(sync(first, "1.0+beta"));
    CHECK(tags().empty());
    CHECK(sync(first, "stable")); // it is here already, and gets its tag all the same
    CHECK(sync(second, "stable"));
    CHECK(tags() == std::vector<std::string>{"stable"});
    const auto local = site.registry->repository("shop/web").value();
    const auto tagged = site.network.io.run(local->fetch_manifest({.tag = "stable", .digest = {}}));
    REQUIRE(tagged);
    CHECK(tagged->descriptor.digest == second.artifact.digest);
    CHECK(site.network.io.run(has_closure(*local, first.artifact.digest)).value());
}
