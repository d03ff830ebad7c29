#pragma once
// The SQL of garbage collection, scrub and usage; the rest is in metadata.hpp.
#include "consign/oci/registry_upkeep.hpp"
#include "metadata.hpp"

namespace consign::oci::metadata {

Result<bool> has_blob_row(Connection& c, const Digest& digest);
/// Unless the blob was stored again since it had `stamp`.
Result<void> quarantined(Transaction& tx, const Digest& digest, const std::string& stamp, Time now);
/// Who needs a blob; at most kReferrersTold.
inline constexpr std::size_t kReferrersTold = 100;
Result<std::vector<Referrer>> blob_referrers(Connection& c, const Digest& digest);
Result<Referrer> manifest_referrer(Connection& c, const std::string& repository, const Digest& digest);

// Garbage collection. What is found by reading is looked at again by what deletes it.

struct Sized {
    Digest digest;
    std::uint64_t bytes = 0;
};
/// Manifests of a repository that nothing keeps: see GcOptions.
Result<std::vector<Sized>> dead_manifests(Connection& c, const std::string& repository, Time touched_before,
                                          const std::set<Digest>& roots);
/// Blobs that no manifest names, `dying` not counted.
Result<std::vector<Sized>> dead_links(Connection& c, const std::string& repository, Time touched_before,
                                      const std::set<Digest>& dying);
/// Only if nothing refers to it: tag, index or, while it exists, its subject.
Result<bool> collect_manifest(Transaction& tx, const std::string& repository, const Digest& digest,
                              Time touched_before);
Result<bool> collect_link(Transaction& tx, const std::string& repository, const Digest& digest,
                          Time touched_before);
/// Blobs without a link, in pieces.
Result<std::vector<Sized>> unlinked_blobs(Connection& c, const std::string& after, std::size_t limit);
Result<bool> doom_blob(Transaction& tx, const Digest& digest); ///< false: it has a link
Result<bool> is_doomed(Connection& c, const Digest& digest);   ///< and no link came since
Result<void> forget_blob(Transaction& tx, const Digest& digest);
Result<std::uint64_t> link_count(Connection& c, const Digest& digest);

struct Counts {
    std::uint64_t manifests = 0, links = 0, blobs = 0;
};
Result<Counts> counts(Connection& c);

// Scrub

struct StoredBlob {
    Sized blob;
    std::uint64_t links = 0;
    std::string stamp;
    bool quarantined = false;
};
Result<std::vector<StoredBlob>> blobs_after(Connection& c, const std::string& after, std::size_t limit);
struct ManifestName {
    std::string repository;
    Digest digest;
};
Result<std::vector<ManifestName>> manifests_after(Connection& c, const ManifestName& after,
                                                  std::size_t limit);
Result<std::uint64_t> stored_bytes(Connection& c);
/// Blobs that a manifest names and its repository does not have.
Result<std::vector<Digest>> unlinked_needs(Connection& c, std::size_t limit);

// Usage

Result<RegistryUsage> usage(Connection& c);
Result<std::optional<RepositoryUsage>> repository_usage(Connection& c, const std::string& repository);
Result<void> set(Transaction& tx, const std::string& repository, const RepositorySettings& settings);

} // namespace consign::oci::metadata
