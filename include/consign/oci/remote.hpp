#pragma once
#include "consign/base/secret.hpp"
#include "consign/net/client.hpp"
#include "consign/oci/repository.hpp"

namespace consign::oci {

/// How requests that can be sent again are: on 429, 5xx, and when the connection fails or breaks.
struct Retry {
    int attempts = 5; ///< in all, ≥ 1
    /// Pauses are random between these (net::Backoff). A Retry-After that asks for more is honoured, up to
    /// two minutes.
    std::chrono::milliseconds base = std::chrono::milliseconds(500);
    std::chrono::milliseconds cap = std::chrono::seconds(15);
};

struct RemoteOptions {
    net::Url registry; ///< scheme, host and port; plain http only because the caller said so
    std::string username = {};
    Secret<std::string> password = {}; ///< empty: anonymous
    /// An OAuth2 refresh token, used instead of the password.
    Secret<std::string> identity_token = {};
    /// The password dies with its first use: a request for a token that may have arrived is not repeated.
    bool one_time_password = false;
    Retry retry = {};
    /// For other hosts that the registry names (redirects, token service, upload locations), when `client`
    /// trusts only the registry's own CA; null: the same client. Used on the same executor.
    net::Client* elsewhere = nullptr;
};

/// A repository of a remote registry, with the Docker token flow (401 → WWW-Authenticate → token → again). A
/// token is fetched once per kind of access and kept for this object's life, renewed when it is refused. Uses
/// `client` on its thread.
///
/// Blobs go up in one request, which every registry takes; in chunks where that is refused. Manifests with a
/// subject are listed under the referrers fallback tag where the registry has no API for them.
std::unique_ptr<Repository> open_remote(net::Client& client, RemoteOptions options, std::string repository);

/// A registry as a whole.
class RemoteRegistry {
  public:
    RemoteRegistry(net::Client& client, RemoteOptions options);
    ~RemoteRegistry();
    /// GET /v2/ with the credential: unauthenticated, or permission_denied, when it is refused; not_found
    /// when this is no registry.
    net::Async<Result<void>> ping();
    /// `_catalog`, sorted; many registries do not offer it: unsupported.
    net::Async<Result<std::vector<std::string>>> repositories();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace consign::oci
