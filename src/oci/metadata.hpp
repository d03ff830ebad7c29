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
Result<void> link_blob(Transaction& tx, const std::string& repository, const Digest& digest,
                       std::uint64_t size);
Result<bool> unlink_blob(Transaction& tx, const std::string& repository, const Digest& digest);

Result<std::optional<std::string>> resolve_tag(Connection& c, const std::string& repository,
                                               const std::string& tag);
Result<std::optional<ManifestBytes>> manifest(Connection& c, const std::string& repository,
                                              const std::string& digest);
/// not_found names the first blob or child that the repository does not have.
Result<void> put_manifest(Transaction& tx, const std::string& repository, const NewManifest& manifest,
                          const std::string& tag);
Result<bool> delete_manifest(Transaction& tx, const std::string& repository, const Digest& digest);
Result<bool> delete_tag(Transaction& tx, const std::string& repository, const std::string& tag);

/// Descriptors of the manifests whose subject is `digest`, all or those of one artifact type.
Result<std::vector<Descriptor>> referrers(Connection& c, const std::string& repository, const Digest& digest,
                                          const std::optional<std::string>& artifact_type);
Result<bool> in_closure(Connection& c, const std::string& repository, const Digest& root,
                        const Digest& digest);

} // namespace consign::oci::metadata
