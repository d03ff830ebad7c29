#pragma once
// OCI image-spec 1.1: descriptor.md, manifest.md, image-index.md.
#include "consign/base/digest.hpp"
#include "consign/base/json.hpp"
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace consign::oci {

namespace media {
inline constexpr std::string_view kImageManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kImageIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kImageConfig = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kEmptyJson = "application/vnd.oci.empty.v1+json";
inline constexpr std::string_view kLayerTarZstd = "application/vnd.oci.image.layer.v1.tar+zstd";
inline constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerManifestList =
    "application/vnd.docker.distribution.manifest.list.v2+json";
} // namespace media

inline constexpr std::size_t kManifestLimitBytes = 4u << 20;

struct Descriptor {
    std::string media_type;
    Digest digest;
    std::uint64_t size = 0; ///< bytes
    std::map<std::string, std::string> annotations = {};
    std::optional<std::string> artifact_type = {};
    std::optional<json::Value> platform = {}; ///< kept as it came

    static constexpr auto fields(auto& self, auto&& f) {
        f("mediaType", self.media_type);
        f("digest", self.digest);
        f("size", self.size);
        f("annotations", self.annotations, json::kDefaulted);
        f("artifactType", self.artifact_type);
        f("platform", self.platform);
    }
};

/// An image manifest or an index, read for what it refers to; its bytes stay opaque and digest-exact.
struct Manifest {
    std::string media_type;
    std::optional<std::string> artifact_type;
    std::optional<Descriptor> config;
    std::vector<Descriptor> layers;    ///< of an image manifest
    std::vector<Descriptor> manifests; ///< of an index
    std::optional<Descriptor> subject;
    std::map<std::string, std::string> annotations;

    bool is_index() const;
    /// Blobs it needs (config and layers); children are in `manifests`.
    std::vector<Descriptor> blobs() const;
    /// Checks the required fields of its media type. `content_type` is used when the body has no mediaType
    /// and must agree with it when it has. invalid_argument names the field.
    static Result<Manifest> parse(std::string_view body, std::string_view content_type);
};

/// The bytes of a manifest with what names them.
struct ManifestBytes {
    Descriptor descriptor;
    std::string body;
};

/// The manifest JSON of an artifact that we make ourselves (deterministic: keys sorted, no white space).
ManifestBytes make_manifest(std::string_view artifact_type, Descriptor config, std::vector<Descriptor> layers,
                            std::map<std::string, std::string> annotations = {},
                            std::optional<Descriptor> subject = std::nullopt);

} // namespace consign::oci
