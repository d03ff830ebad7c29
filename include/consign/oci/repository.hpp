#pragma once
#include "consign/net/http.hpp"
#include "consign/oci/reference.hpp"
#include "consign/oci/types.hpp"

namespace consign::oci {

/// One repository of one registry. Three kinds: local store (local.hpp), remote registry (remote.hpp),
/// OCI layout directory (layout.hpp). Coroutines run on the caller's executor; digests are checked by whoever
/// writes: push_blob() and put_manifest() refuse bytes that are not what the descriptor says (corrupt).
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
};

} // namespace consign::oci
