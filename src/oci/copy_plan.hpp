#pragma once
#include "consign/oci/copy.hpp"

namespace consign::oci {

/// All that a copy has to bring, known before the first blob moves.
struct CopyPlan {
    struct Item {
        ManifestBytes manifest;
        std::string tag = {}; ///< to put it under; empty: under its digest alone
    };
    std::vector<Item> manifests;   ///< in the order to put them; the root is the last
    std::vector<Descriptor> blobs; ///< each once
    std::size_t manifest_bytes = 0;
};

/// Reads all manifests that `which` leads to. `tag` is the root's at the target. not_found: also a platform
/// that the index does not have; unsupported: nested too deep; too_large: more than `limit` bytes of
/// manifests.
net::Async<Result<CopyPlan>> plan_copy(Repository& source, TagOrDigest which, std::string tag,
                                       CopyOptions options, std::size_t limit);

/// Whether "os/architecture[/variant]" takes in the platform of an index's entry. A variant that is not asked
/// for may be any.
bool takes_in(std::string_view wanted, const Descriptor& entry);

} // namespace consign::oci
