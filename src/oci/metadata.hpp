#pragma once
// The SQL of the registry, one function per question; closures of Registry call them. Names are checked
// before.
#include "consign/oci/types.hpp"
#include "consign/store/database.hpp"

namespace consign::oci::metadata {

using store::Connection;
using store::Transaction;

struct Stored {
    ManifestBytes manifest;
    std::optional<Digest> subject;
};
/// What of a manifest is stored beside its bytes.
struct NewManifest {
    ManifestBytes bytes;
    Manifest parsed;
};
/// Bytes, 0: no limit.
struct Limits {
    std::uint64_t total = 0;      ///< of all blobs (each once) and manifests
    std::uint64_t repository = 0; ///< of a repository that has no quota of its own
};
/// How many bytes more `repository` may take, as `digest` if that is known: what is here already costs
/// nothing.
Result<std::uint64_t> room(Connection& c, const std::string& repository, const std::optional<Digest>& digest,
                           const Limits& limits);

Result<bool> has_quotas(Connection& c); ///< whether any repository has one of its own

/// A piece of a sorted list, and whether there is more.
struct Page {
    std::vector<std::string> items;
    bool more = false;
};

Result<bool> has_repository(Connection& c, const std::string& name);
Result<Page> repositories(Connection& c, const std::string& after, std::size_t limit);
Result<Page> tags(Connection& c, const std::string& repository, const std::string& after, std::size_t limit);

Result<std::optional<std::uint64_t>> blob_size(Connection& c, const std::string& repository,
                                               const Digest& digest);
/// A blob as a repository has it.
struct Link {
    std::uint64_t size = 0;
    Time touched_at = {};
    std::string stamp; ///< of the file that was verified; empty: none yet
};
Result<std::optional<Link>> link(Connection& c, const std::string& repository, const Digest& digest);
/// permission_denied when a quota does not allow it. A `stamp` says that the file was verified.
Result<void> link_blob(Transaction& tx, const std::string& repository, const Digest& digest, const Link& link,
                       const Limits& limits);
Result<void> verified(Transaction& tx, const Digest& digest, const std::string& stamp);
/// Touching keeps what a push found here from being collected before the push relies on it; false: it is
/// gone.
Result<bool> touch_link(Transaction& tx, const std::string& repository, const Digest& digest, Time now);
Result<bool> touch_manifest(Transaction& tx, const std::string& repository, const std::string& digest,
                            Time now);
Result<bool> unlink_blob(Transaction& tx, const std::string& repository, const Digest& digest);

Result<std::optional<std::string>> resolve_tag(Connection& c, const std::string& repository,
                                               const std::string& tag);
struct FoundManifest {
    ManifestBytes bytes;
    Time touched_at = {};
};
Result<std::optional<FoundManifest>> manifest(Connection& c, const std::string& repository,
                                              const std::string& digest);
/// not_found names the first blob or child that the repository does not have; permission_denied: a quota, or
/// the tag names another manifest and the repository's tags are immutable.
Result<void> put_manifest(Transaction& tx, const std::string& repository, const NewManifest& manifest,
                          const std::string& tag, Time now, const Limits& limits);
Result<bool> delete_manifest(Transaction& tx, const std::string& repository, const Digest& digest);
Result<bool> delete_tag(Transaction& tx, const std::string& repository, const std::string& tag);

struct ReferrersPage {
    std::vector<Descriptor> items; ///< by digest
    bool more = false;
};
/// Where a page begins and how much it may hold; one item it has in any case.
struct Slice {
    std::string after = {}; ///< a digest
    std::size_t count = SIZE_MAX;
    std::size_t bytes = SIZE_MAX; ///< of annotations
};
/// Descriptors of the manifests whose subject is `digest`, all or those of one artifact type.
Result<ReferrersPage> referrers(Connection& c, const std::string& repository, const Digest& digest,
                                const std::optional<std::string>& artifact_type, const Slice& slice);
/// Repositories that have the blob, a few.
Result<std::vector<std::string>> repositories_with(Connection& c, const Digest& digest);
Result<bool> in_closure(Connection& c, const std::string& repository, const Digest& root,
                        const Digest& digest);

} // namespace consign::oci::metadata
