#pragma once
#include "consign/oci/registry_server.hpp"
#include "registry_path.hpp"
#include <expected>

namespace consign::oci {

/// What a request under /v2 goes through before anything answers it, whichever registry is behind: it is
/// authorised, and what it names is read.
class RegistryDoor {
  public:
    RegistryDoor(Authorise authorise, const RegistryServerOptions& options)
        : authorise_(std::move(authorise)), realm_(options.realm), service_(options.service) {}

    struct Admitted {
        RegistryPath path;
        Grant grant;
    };
    /// What came in, or the answer that ends it here: 401, 404 for no endpoint, 400 for no repository name.
    net::Async<std::expected<Admitted, net::Response>> admit(const net::Request& request) const;

    /// 401 that names the scope the request needs. `reason`: the error code of RFC 6750 section 3.1, if any.
    net::Response challenge(const net::Request& request, const std::optional<RegistryPath>& path,
                            const Error& error, std::string_view reason = {}) const;

  private:
    Authorise authorise_;
    std::function<std::string(const net::Request&)> realm_;
    std::string service_;
};

/// The scope that a request needs, in the Docker token flow's words, with `name` for the repository. "":
/// none.
std::string scope_of(const RegistryPath& path, net::Verb verb, const std::string& name);

/// Whether the bearer still has the rights that the request came in with.
net::Async<Result<void>> recheck(const Grant& grant);

} // namespace consign::oci
