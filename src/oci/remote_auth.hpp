#pragma once
#include "challenge.hpp"
#include "consign/oci/remote.hpp"

namespace consign::oci {

/// The credential of one remote registry: nothing at first, then what the registry's challenge asks for. A
/// token is fetched once per scope, however many requests need it at the same time: a one-time password is
/// burnt by the first fetch. On the client's thread only.
class RemoteAuth {
  public:
    /// Sends a request to a token service; made by who owns the connections.
    using Send =
        std::function<net::Async<Result<net::ClientResponse>>(net::ClientRequest request, bool repeatable)>;
    RemoteAuth(const RemoteOptions& options, Send send, net::Executor executor);

    /// What to send as Authorization for `scope` ("repository:shop/web:pull", several with spaces between
    /// them, or none); empty: nothing yet.
    std::string header(const std::string& scope) const;
    /// After a 401 to a request that carried `refused`: gets what the challenge asks for.
    net::Async<Result<void>> renew(std::string challenge, std::string scope, std::string refused);

  private:
    net::Async<Result<std::string>> answer(std::string challenge, std::string scope, std::string refused);
    net::Async<Result<std::string>> fetch_token(Challenge bearer, std::string scope);
    Result<net::Url> realm_of(const Challenge& bearer) const;
    net::ClientRequest by_get(net::Url url, const std::string& service, const std::string& scope) const;
    net::ClientRequest by_post(net::Url url, const std::string& service, const std::string& scope) const;
    std::string basic() const;

    const RemoteOptions& options_;
    Send send_;
    std::map<std::string, std::string> headers_; // by scope
    bool busy_ = false;
    net::Timer idle_; // cancelled when a renewal ends: wakes those that wait for it
};

} // namespace consign::oci
