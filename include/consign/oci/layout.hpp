#pragma once
#include "consign/net/async.hpp"
#include "consign/oci/repository.hpp"
#include <filesystem>

namespace consign::oci {

/// An OCI image layout directory (image-spec 1.1, image-layout.md) as a Repository; created if it is not
/// there. Tags are org.opencontainers.image.ref.name annotations of index.json.
Result<std::unique_ptr<Repository>> open_layout(const std::filesystem::path& directory,
                                                net::BlockingPool& pool);

} // namespace consign::oci
