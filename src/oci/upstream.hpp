#pragma once
// The requests of a RegistryProxy to the registry behind it.
#include "consign/oci/registry_account.hpp"
#include "registry_client.hpp"
#include <atomic>

namespace consign::oci {

/// A thread's connections to upstream. Clients belong to one thread, and the server's requests come on
/// several.
class Upstream {
  public:
    explicit Upstream(RegistryAccount& account) : account_(account) {}

    RegistryAccount& account() const { return account_; }
    /// Has the repository made if it is not there. A login that is refused is never the caller's fault, here
    /// and below: unavailable.
    net::Async<Result<void>> prepare(std::string repository, bool anew = false) const;
    /// With our login, as RegistryClient sends. `repository` as it is upstream.
    net::Async<Result<net::ClientResponse>> send(net::ClientRequest request, std::string repository,
                                                 std::string scope) const;
    /// For a body that can be sent only once: makes sure first that our token is still good. `scope` as with
    /// send().
    net::Async<Result<net::ClientResponse>> send_once(net::ClientRequest request, std::string repository,
                                                      std::string scope) const;
    net::ClientRequest request(net::Verb verb, std::string target) const;
    /// send() to where something is pushed, of a body that can be sent again: prepares it first, and anew
    /// when the answer is 404.
    net::Async<Result<net::ClientResponse>> push(net::ClientRequest request, std::string repository,
                                                 std::string scope) const;

    /// unavailable instead of what is about a login: that is not the caller's.
    std::unexpected<Error> our_trouble(Error error) const;

  private:
    net::Async<Result<std::shared_ptr<RegistryClient>>> client(std::string repository) const;

    RegistryAccount& account_;
    static inline std::atomic<std::uint64_t> made_{0};
    const std::uint64_t id_ = ++made_; // an address may be used again, this is not
};

} // namespace consign::oci
