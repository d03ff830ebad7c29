#pragma once
#include "consign/oci/blob_store.hpp"
#include "consign/oci/registry.hpp"
#include "metadata.hpp"

namespace consign::oci {

/// What the HTTP server and the in-process repositories share: the two stores and the order in which they are
/// used. Bytes go to disk before a link to them exists; a link exists before a manifest that needs it.
class RegistryCore {
  public:
    RegistryCore(std::unique_ptr<store::Database> database, std::unique_ptr<BlobStore> blobs,
                 net::BlockingPool& pool)
        : database(std::move(database)), blobs(std::move(blobs)), pool(pool) {}

    /// not_found when the repository does not have it, or the file is not what it was (reported in the log).
    net::Async<Result<net::FileBody>> open_blob(std::string repository, Digest digest);
    net::Async<Result<void>> link_blob(std::string repository, Digest digest, std::uint64_t size);
    /// Makes what `from` has visible in `to`; false when `from` does not have it.
    net::Async<Result<bool>> mount_blob(std::string from, std::string to, Digest digest);

    net::Async<Result<ManifestBytes>> fetch_manifest(std::string repository, TagOrDigest which);
    /// Hashes, parses and stores. `expected`, if given, is what the bytes must be. Returns digest and
    /// subject.
    struct Put {
        Digest digest;
        std::optional<Digest> subject;
    };
    net::Async<Result<Put>> put_manifest(std::string repository, std::string media_type, std::string body,
                                         std::string tag, std::optional<Digest> expected);

    std::unique_ptr<store::Database> database;
    std::unique_ptr<BlobStore> blobs;
    net::BlockingPool& pool;
};

std::unique_ptr<Repository> make_local_repository(RegistryCore& core, std::string name);

} // namespace consign::oci
