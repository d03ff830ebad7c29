#pragma once
// What an operator asks of a registry: garbage collection, scrub, usage, settings.
#include "consign/base/clock.hpp"
#include "consign/base/digest.hpp"
#include "consign/net/async.hpp"
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace consign::oci {

/// Repository → manifests that must stay although nothing in the registry says so.
using GcRoots = std::map<std::string, std::set<Digest>>;

struct GcItem {
    enum class Kind { manifest, link, file } kind;
    std::string repository; ///< empty for a file
    Digest digest;
    std::uint64_t bytes = 0;
};

struct GcReport {
    std::uint64_t manifests_kept = 0, manifests_removed = 0;
    std::uint64_t links_kept = 0, links_removed = 0; ///< a blob in a repository
    std::uint64_t files_kept = 0,
                  files_removed = 0; ///< a blob's bytes, once however many repositories have it
    std::uint64_t bytes_freed = 0;   ///< of files and manifests
    std::uint64_t uploads_removed = 0;
    std::vector<GcItem> items; ///< the first kListed; in a dry run what would go
    static constexpr std::size_t kListed = 1000;
};

/// A manifest is live if it has a tag, is in the roots, was touched within the grace, is the child of a live
/// index, or has a live manifest as its subject. A link is live if a manifest of its repository names the
/// blob, or it was touched within the grace. A file is live while a link to it exists.
struct GcOptions {
    bool dry_run = false;
    /// Longer than a push may take from its first blob to its manifest. Even at 0 nothing that was
    /// acknowledged as a manifest breaks; but pushes under way may find their blobs gone and have to send
    /// them again.
    std::chrono::seconds grace = std::chrono::hours(24);
    /// Asked once, after the moment from which the grace counts.
    std::function<net::Async<Result<GcRoots>>()> roots = {};
    std::function<void(const GcReport&)> on_progress = {}; ///< on the caller's executor
};

/// Who needs something that is damaged.
struct Referrer {
    std::string repository;
    std::optional<Digest> manifest; ///< none: the repository has the blob, no manifest names it
    std::vector<std::string> tags;  ///< of the manifest, and of the indexes that lead to it
};
struct Damage {
    enum class Kind { blob, manifest } kind;
    Digest digest;
    bool missing = false; ///< there is nothing; else the bytes were wrong, and a blob's are now set aside
    std::vector<Referrer> referrers;
};
struct ScrubReport {
    std::uint64_t blobs = 0, manifests = 0, bytes = 0; ///< read so far
    std::uint64_t bytes_total = 0;
    std::uint64_t damaged = 0, missing = 0;
    std::vector<Damage> damages; ///< the first kListed
    static constexpr std::size_t kListed = 1000;
};
struct ScrubOptions {
    std::uint64_t bytes_per_second = 64u << 20; ///< at most; 0: as fast as it goes
    std::function<void(const ScrubReport&)> on_progress = {};
};

struct RepositoryUsage {
    std::string repository;
    std::uint64_t tags = 0, manifests = 0, blobs = 0;
    std::uint64_t bytes = 0;       ///< of its blobs and manifests
    std::uint64_t quota_bytes = 0; ///< 0: none of its own
    bool immutable_tags = false;
};
struct RegistryUsage {
    std::uint64_t bytes = 0; ///< of all blobs, each once, and manifests
    std::uint64_t free_bytes = 0;
    std::uint64_t quarantined = 0; ///< blobs that were damaged and not pushed again yet
    std::vector<RepositoryUsage> repositories;
};

/// What is not given stays as it is.
struct RepositorySettings {
    std::optional<bool> immutable_tags = {}; ///< a tag cannot be moved to another manifest, only deleted
    std::optional<std::uint64_t> quota_bytes = {}; ///< 0: none of its own
};

} // namespace consign::oci
