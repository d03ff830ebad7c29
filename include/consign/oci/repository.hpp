#pragma once
#include "consign/net/http.hpp"
#include "consign/oci/reference.hpp"
#include "consign/oci/types.hpp"

namespace consign::oci {

/// A push that may be interrupted, by the process's end too, and go on where it stopped.
struct Push {
    Descriptor blob;
    /// The content from `offset` on; asked for once per attempt.
    std::function<net::Async<Result<std::unique_ptr<net::Source>>>(std::uint64_t offset)> open;
    /// A repository of the same registry that has the blob, to take it from without sending it; may be empty.
    std::string mount_from = {};
    /// What `remember` was last given by an earlier attempt of the same blob to the same repository; empty:
    /// none.
    std::string session = {};
    /// Is given what a later attempt needs to go on, "" when there is nothing to go on with any more. May be
    /// empty: what an interrupted push has left is then dropped, where the target lets us.
    std::function<net::Async<void>(std::string session)> remember = {};
    /// Is told how many bytes need not be sent again, or at all (a mount).
    std::function<void(std::uint64_t bytes)> on_spared = {};
};

/// One repository of one registry. Kinds: local store (registry.hpp), remote registry (remote.hpp), OCI
/// layout directory (layout.hpp), OCI archive (archive.hpp). Coroutines run on the caller's executor; digests
/// are checked by whoever writes: push_blob() and put_manifest() refuse bytes that are not what the
/// descriptor says (corrupt). What has a default here is what a kind may do better, or cannot do.
class Repository {
  public:
    virtual ~Repository() = default;

    /// not_found if the tag or digest is unknown. The body is verified against the digest.
    virtual net::Async<Result<ManifestBytes>> fetch_manifest(TagOrDigest which) = 0;
    /// Stores the manifest under its digest and, if given, under `tag`.
    virtual net::Async<Result<void>> put_manifest(ManifestBytes manifest, std::string tag) = 0;
    virtual net::Async<Result<bool>> has_blob(Descriptor blob) = 0;
    virtual net::Async<Result<std::unique_ptr<net::Source>>> fetch_blob(Descriptor blob) = 0;
    /// Reads `content` to its end. Nothing is visible unless size and digest fit.
    virtual net::Async<Result<void>> push_blob(Descriptor blob, net::Source& content) = 0;
    virtual std::string describe() const = 0; ///< for messages: "registry.example/shop/web"

    /// The blob from `offset` (≤ size) on. A part cannot be verified: whoever puts the parts together does
    /// it.
    virtual net::Async<Result<std::unique_ptr<net::Source>>> fetch_blob_from(Descriptor blob,
                                                                             std::uint64_t offset);
    /// push_blob() that can go on. The default begins anew.
    virtual net::Async<Result<void>> push(Push push);
    /// Manifests whose subject is `digest`, by the registry's API or the fallback tag (distribution-spec 1.1,
    /// "Listing Referrers"); none where nobody keeps them.
    virtual net::Async<Result<std::vector<Descriptor>>> referrers(Digest subject);
    virtual net::Async<Result<std::vector<std::string>>> tags(); ///< sorted; unsupported
    virtual net::Async<Result<void>> remove(TagOrDigest which);  ///< not_found; unsupported
    /// What names the registry this repository is in, when blobs can be mounted from its other repositories;
    /// empty: they cannot.
    virtual std::string registry() const { return {}; }
    virtual std::string name() const { return {}; } ///< inside registry()
    /// Blobs must be pushed one after the other (a file that is written in one go).
    virtual bool sequential() const { return false; }
};

} // namespace consign::oci
