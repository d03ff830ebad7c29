#pragma once
#include "consign/oci/registry_account.hpp"
#include "consign/oci/registry_server.hpp"

namespace consign::oci {

/// Paths under /v2/, answered from another operator's registry: who calls needs no account there, and never
/// sees ours. The same rights as RegistryServer's, per repository; a grant for one artifact reads its closure
/// only. Bodies are streamed both ways, ranges and all, and not kept. What upstream refuses us (401, 403) is
/// our trouble: 503.
class RegistryProxy {
  public:
    /// `upload_key`: locations of uploads carry upstream's, authenticated with it, so that a client can give
    /// them back but not make them; the same key after a restart keeps uploads alive. `account` must outlive
    /// this. any thread.
    RegistryProxy(RegistryAccount& account, Authorise authorise, RegistryServerOptions options,
                  Secret<std::string> upload_key);
    ~RegistryProxy();
    net::Async<net::Response> handle(net::Request& request);
    /// For the owner's own look at what is there: a manifest of `repository`, by digest. not_found.
    net::Async<Result<ManifestBytes>> fetch_manifest(std::string repository, Digest digest);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace consign::oci
