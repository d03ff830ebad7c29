#pragma once
#include "consign/oci/repository.hpp"
#include <filesystem>
#include <functional>

namespace consign::oci {

struct CopyProgress {
    std::uint64_t bytes_total = 0, bytes_done = 0, bytes_skipped = 0; ///< skipped: the target had them
    std::size_t blobs_total = 0, blobs_done = 0;
    struct Active {
        Digest digest;
        std::uint64_t size = 0, done = 0; ///< bytes; done includes what an earlier attempt had sent
    };
    std::vector<Active> active = {}; ///< the blobs that are on their way
};

struct CopyOptions {
    std::size_t parallel = 4; ///< blobs at a time; of those up to 64 KiB seven times as many besides
    std::function<void(const CopyProgress&)> on_progress =
        {}; ///< on the executor's thread, at most once per piece
    /// Of an index take only these, "os/architecture[/variant]"; empty: all of it, digest-exact. With one
    /// platform its manifest becomes the root, under its own digest; with several a new index, with a new
    /// digest, names them.
    std::vector<std::string> platforms = {};
    /// Take along what refers to the manifests (signatures, provenance, SBOMs): by the referrers API, by the
    /// fallback tag, and what cosign keeps under sha256-<hex>.sig, .att and .sbom.
    bool referrers = false;
    /// Where interrupted blobs of a MiB and more are remembered, so that another process goes on with them;
    /// empty: they begin anew.
    std::filesystem::path state_directory = {};
    /// What the copy may hold, bytes: manifests and the pieces under way together. `parallel` gives way to
    /// it.
    std::size_t memory_bytes = 64u << 20;
};

/// Copies the artifact with all its children, digest-exact: blobs before manifests, children before the
/// index, referrers before what they refer to, the tag last. What the target already has is not sent; what
/// another repository of the target's registry has is mounted. Repeating it after any failure is safe. `tag`
/// may be empty. Returns the descriptor of the root.
net::Async<Result<Descriptor>> copy(Repository& source, TagOrDigest which, Repository& target,
                                    std::string tag, CopyOptions options = {});

} // namespace consign::oci
