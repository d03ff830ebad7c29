#pragma once
// A component artifact: OCI image manifest with artifactType application/vnd.consign.<type>.v1, a JSON config
// (the component's resolved spec) and one tar+zstd layer.
#include "consign/artifact/pack.hpp"
#include "consign/oci/repository.hpp"

namespace consign::artifact {

std::string artifact_type(std::string_view component_type); ///< "application/vnd.consign.bundle.v1"
inline constexpr std::string_view kSourceType = "source";   ///< an uploaded source tree, same format

/// Pushes layer, config and manifest of one component artifact into `target`; returns the manifest's
/// descriptor. Deterministic: the same layer and config give the same digest.
net::Async<Result<oci::Descriptor>> push_component(oci::Repository& target, net::BlockingPool& pool,
                                                   std::string component_type, json::Value config,
                                                   PackedLayer layer, std::string tag);

struct ComponentManifest {
    std::string component_type;
    json::Value config;
    oci::Descriptor layer;
};
/// Reads the manifest `digest` and its config; corrupt if it is not a component artifact of ours.
net::Async<Result<ComponentManifest>> read_component(oci::Repository& source, Digest digest);

/// Writes a blob to `file` (atomically, digest checked).
net::Async<Result<void>> download_blob(oci::Repository& source, oci::Descriptor blob,
                                       std::filesystem::path file, net::BlockingPool& pool);

} // namespace consign::artifact
