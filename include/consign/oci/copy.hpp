#pragma once
#include "consign/oci/repository.hpp"
#include <functional>

namespace consign::oci {

struct CopyProgress {
    std::uint64_t bytes_total = 0, bytes_done = 0, bytes_skipped = 0; ///< skipped: the target had them
    std::size_t blobs_total = 0, blobs_done = 0;
};

struct CopyOptions {
    std::size_t parallel = 4; ///< blobs at a time
    std::function<void(const CopyProgress&)> on_progress =
        {}; ///< on the executor's thread, at most once per piece
};

/// Copies the artifact with all its children, digest-exact: blobs before manifests, children before the
/// index, the tag last. What the target already has is not sent. Repeating it after any failure is safe.
/// `tag` may be empty. Returns the descriptor of the root.
net::Async<Result<Descriptor>> copy(Repository& source, TagOrDigest which, Repository& target,
                                    std::string tag, CopyOptions options = {});

} // namespace consign::oci
