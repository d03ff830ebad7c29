#pragma once
// The vendor registry's front: the Docker token endpoint, and the registry behind its bearer tokens.
#include "auth.hpp"

namespace consign::ims {

class Gateway {
  public:
    explicit Gateway(Core& core);
    /// Every path at or below /v2.
    net::Async<net::Response> handle(net::Request& request);

  private:
    struct TokenRequest;
    net::Async<Result<net::Response>> token(net::Request& request);
    net::Async<Result<net::Response>> issue(TokenRequest wanted, std::string remote);
    Core& core_;
    oci::RegistryServer server_;
    std::optional<oci::RegistryProxy> proxy_; ///< serves instead, when the vendor registry is another operator's
};

} // namespace consign::ims
