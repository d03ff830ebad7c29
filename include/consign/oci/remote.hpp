#pragma once
#include "consign/base/secret.hpp"
#include "consign/net/client.hpp"
#include "consign/oci/repository.hpp"

namespace consign::oci {

struct RemoteOptions {
    net::Url registry; ///< scheme, host and port; plain http only because the caller said so
    std::string username = {};
    Secret<std::string> password = {}; ///< empty: anonymous
};

/// A repository of a remote registry, with the Docker token flow (401 → WWW-Authenticate → token → again).
/// The token is fetched once and kept for this object's life, renewed when it is refused. Uses `client` on
/// its thread.
std::unique_ptr<Repository> open_remote(net::Client& client, RemoteOptions options, std::string repository);

} // namespace consign::oci
