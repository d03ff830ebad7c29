#include "consign/oci/types.hpp"
#include <cstdlib>

using namespace consign;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    for (const auto type : {std::string_view(), oci::media::kImageManifest, oci::media::kImageIndex}) {
        const auto manifest = oci::Manifest::parse(input, type);
        if (!manifest) continue;
        if (!type.empty() && manifest->media_type != type) std::abort();
        // One reading only: what is an index has no blobs, what is an image no children.
        if (manifest->is_index() ? !manifest->blobs().empty() : !manifest->manifests.empty()) std::abort();
        for (const auto& blob : manifest->blobs())
            if (!Digest::parse(blob.digest.str())) std::abort();
        if (manifest->is_index()) continue;
        const auto made = oci::make_manifest(manifest->artifact_type.value_or(""), *manifest->config,
                                             manifest->layers, manifest->annotations, manifest->subject);
        const auto again = oci::Manifest::parse(made.body, made.descriptor.media_type);
        if (made.body.size() > oci::kManifestLimitBytes) continue;
        if (!again || again->layers.size() != manifest->layers.size() ||
            again->config->digest != manifest->config->digest)
            std::abort();
    }
    return 0;
}
