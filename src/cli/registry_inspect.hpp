#pragma once
#include "cli/context.hpp"
#include "consign/oci/repository.hpp"

namespace consign::cli {

/// A manifest with all below it, as `consign registry inspect -o json` prints it.
struct Inspected {
    Digest digest;
    std::string media_type;
    std::uint64_t size = 0;              ///< bytes of the manifest
    std::optional<std::string> platform; ///< "linux/arm64/v8"
    std::optional<std::string> artifact_type;
    std::map<std::string, std::string> annotations;
    struct Blob {
        Digest digest;
        std::string media_type;
        std::uint64_t size = 0;
        static constexpr auto fields(auto& self, auto&& f) {
            f("digest", self.digest);
            f("media_type", self.media_type);
            f("size", self.size);
        }
    };
    std::optional<Blob> config;
    std::vector<Blob> layers;
    std::vector<Inspected> manifests; ///< of an index
    std::vector<Inspected> referrers;
    static constexpr auto fields(auto& self, auto&& f) {
        f("digest", self.digest);
        f("media_type", self.media_type);
        f("size", self.size);
        f("platform", self.platform);
        f("artifact_type", self.artifact_type);
        f("annotations", self.annotations);
        f("config", self.config);
        f("layers", self.layers);
        f("manifests", self.manifests);
        f("referrers", self.referrers);
    }
};

/// Reads it all; referrers of every manifest too.
net::Async<Result<Inspected>> inspect(oci::Repository* repository, oci::TagOrDigest which);
/// Bytes of everything, each blob and manifest once; referrers are not counted.
std::uint64_t total_bytes(const Inspected& root);
/// The lines of the tree.
std::vector<std::string> tree_of(const Inspected& root);

} // namespace consign::cli
