#include "artifact/blob_io.hpp"
#include "consign/artifact/component.hpp"
#include "trees.hpp"

using namespace consign;
using namespace consign::test;
using namespace consign::artifact;
using Catch::Matchers::Contains;

namespace {

/// A repository in memory that can be told to lie.
class MemoryRepository final : public oci::Repository {
  public:
    net::Async<Result<oci::ManifestBytes>> fetch_manifest(oci::TagOrDigest which) override {
        const auto found = manifests.find(which.str());
        if (found == manifests.end()) co_return fail(Code::not_found, "no manifest " + which.str());
        co_return found->second;
    }
    net::Async<Result<void>> put_manifest(oci::ManifestBytes manifest, std::string tag) override {
        manifests[manifest.descriptor.digest.str()] = manifest;
        if (!tag.empty()) manifests[tag] = manifest;
        co_return Result<void>{};
    }
    net::Async<Result<bool>> has_blob(oci::Descriptor blob) override {
        co_return blobs.contains(blob.digest.str());
    }
    net::Async<Result<std::unique_ptr<net::Source>>> fetch_blob(oci::Descriptor blob) override {
        const auto found = blobs.find(blob.digest.str());
        if (found == blobs.end()) co_return fail(Code::not_found, "no blob " + blob.digest.str());
        co_return std::make_unique<TextSource>(found->second);
    }
    net::Async<Result<void>> push_blob(oci::Descriptor blob, net::Source& content) override {
        ++pushes;
        CONSIGN_CO_TRY(text, co_await net::read_all(content, 64u << 20));
        CHECK(text.size() == blob.size);
        CHECK(Digest::sha256_of(text) == blob.digest);
        blobs[blob.digest.str()] = text;
        co_return Result<void>{};
    }
    std::string describe() const override { return "memory"; }

    std::map<std::string, oci::ManifestBytes> manifests;
    std::map<std::string, std::string> blobs;
    int pushes = 0;
};

struct World {
    net::IoThread io;
    MemoryRepository repository;
    TemporaryDirectory directory = scratch();

    PackedLayer layer() {
        put_file(directory.path() / "tree/index.html", "<h1>shop</h1>");
        auto packed = pack_directory(directory.path() / "tree", directory.path() / "layer");
        REQUIRE(packed);
        return *packed;
    }
    Result<oci::Descriptor> push(const PackedLayer& packed, json::Value config = {{"service", {"./serve"}}}) {
        return io.run(push_component(repository, io.blocking(), "bundle", std::move(config), packed, "v1"));
    }
};

} // namespace

TEST_CASE("artifact types") {
    CHECK(artifact_type("bundle") == "application/vnd.consign.bundle.v1");
    CHECK(artifact_type(kSourceType) == "application/vnd.consign.source.v1");
}

TEST_CASE("a component goes up and comes back") {
    World world;
    const auto packed = world.layer();
    const auto pushed = world.push(packed);
    REQUIRE(pushed);
    CHECK(world.repository.manifests.contains("v1"));
    CHECK(world.repository.pushes == 2);

    const auto read = world.io.run(read_component(world.repository, pushed->digest));
    REQUIRE(read);
    CHECK(read->component_type == "bundle");
    CHECK(read->config == json::Value{{"service", {"./serve"}}});
    CHECK(read->layer.digest == packed.digest);
    CHECK(read->layer.size == packed.size);

    const auto file = world.directory.path() / "downloaded";
    REQUIRE(world.io.run(download_blob(world.repository, read->layer, file, world.io.blocking())));
    CHECK(read_file(file).value() == read_file(packed.file).value());
    CHECK_FALSE(fs::exists(file.native() + ".partial"));

    // The same layer and config: the same digest, and nothing is sent twice.
    const auto again = world.push(packed);
    REQUIRE(again);
    CHECK(again->digest == pushed->digest);
    CHECK(world.repository.pushes == 2);
    CHECK(world.push(packed, {{"service", {"./other"}}})->digest != pushed->digest);
}

TEST_CASE("push errors") {
    World world;
    auto packed = world.layer();
    CHECK(world.push(packed, std::string(5u << 20, 'x')).error().code == Code::too_large);
    packed.file = world.directory.path() / "gone";
    CHECK(world.push(packed).error().code == Code::not_found);
    CHECK(world.repository.manifests.empty());
}

TEST_CASE("what is not a component artifact of ours is told so") {
    World world;
    const auto pushed = world.push(world.layer());
    REQUIRE(pushed);
    const auto config_text = std::string(R"({"service":["./serve"]})");
    const oci::Descriptor config{.media_type = "application/vnd.consign.component.config.v1+json",
                                 .digest = Digest::sha256_of(config_text),
                                 .size = config_text.size()};
    const oci::Descriptor layer{
        .media_type = std::string(oci::media::kLayerTarZstd), .digest = Digest::sha256_of("x"), .size = 1};
    const auto refused = [&](std::string_view type, oci::Descriptor config_blob,
                             std::vector<oci::Descriptor> layers, std::string_view want) {
        const auto manifest = oci::make_manifest(type, std::move(config_blob), std::move(layers));
        world.repository.manifests[manifest.descriptor.digest.str()] = manifest;
        const auto read = world.io.run(read_component(world.repository, manifest.descriptor.digest));
        REQUIRE_FALSE(read);
        CHECK(read.error().code == Code::corrupt);
        CHECK_THAT(read.error().message, Contains(std::string(want)));
    };
    refused("application/vnd.other.v1", config, {layer}, "its artifactType is application/vnd.other.v1");
    refused("application/vnd.consign.../x.v1", config, {layer}, "artifactType");
    refused(artifact_type("bundle"),
            {.media_type = std::string(oci::media::kEmptyJson), .digest = config.digest, .size = 2}, {layer},
            "config is of another type");
    refused(artifact_type("bundle"),
            {.media_type = config.media_type, .digest = config.digest, .size = 5u << 20}, {layer},
            "config is too large");
    refused(artifact_type("bundle"), config, {}, "one tar+zstd layer");
    refused(artifact_type("bundle"), config, {layer, layer}, "one tar+zstd layer");
    world.repository.blobs[config.digest.str()] = R"({"service":["./evil!"]})";
    refused(artifact_type("bundle"), config, {layer}, "not what its digest says");
    CHECK(world.io.run(read_component(world.repository, Digest::sha256_of("none"))).error().code ==
          Code::not_found);
}

TEST_CASE("a download that is not what it should be leaves no file") {
    World world;
    const std::string text = "the right bytes";
    const oci::Descriptor blob{.media_type = "x", .digest = Digest::sha256_of(text), .size = text.size()};
    const auto file = world.directory.path() / "file";
    const auto download = [&] {
        return world.io.run(download_blob(world.repository, blob, file, world.io.blocking()));
    };
    CHECK(download().error().code == Code::not_found);
    for (const auto* wrong : {"the wrong bytes", "short", "far too many bytes, more than there should be"}) {
        CAPTURE(wrong);
        world.repository.blobs[blob.digest.str()] = wrong;
        CHECK(download().error().code == Code::corrupt);
        CHECK_FALSE(fs::exists(file));
        CHECK_FALSE(fs::exists(file.native() + ".partial"));
    }
    world.repository.blobs[blob.digest.str()] = text;
    CHECK(download());
    CHECK(read_file(file).value() == text);
    CHECK(world.io
              .run(download_blob(world.repository, blob, world.directory.path() / "no/such/place",
                                 world.io.blocking()))
              .error()
              .code == Code::not_found);
}
