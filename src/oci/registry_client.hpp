#pragma once
// The requests to one remote registry: credential, redirects, retries. remote*.cpp say what is asked.
#include "consign/net/backoff.hpp"
#include "consign/oci/remote.hpp"
#include "remote_auth.hpp"

namespace consign::oci {

/// How long a response asks to wait (RFC 9110 section 10.2.3, seconds or a date); nullopt: it does not say.
std::optional<std::chrono::milliseconds> retry_after(const net::Headers& headers, Time now);
/// Whether the status may be another one in a moment: 408, 425, 429, 500, 502, 503, 504.
bool is_passing(int status);

/// Pauses between attempts at one thing.
class Attempts {
  public:
    explicit Attempts(const Retry& retry) : left_(retry.attempts - 1), backoff_(retry.base, retry.cap) {}
    /// Waits before another attempt, `at_least` if it is said; false: there is none left, or the caller is
    /// cancelled.
    net::Async<bool> another(std::optional<std::chrono::milliseconds> at_least = std::nullopt);
    void limit(int attempts) { left_ = std::min(left_, attempts - 1); }

  private:
    int left_;
    net::Backoff backoff_;
};

class RegistryClient {
  public:
    RegistryClient(net::Client& client, RemoteOptions options);
    RegistryClient(const RegistryClient&) = delete; // the authenticator refers to it

    const net::Url& registry() const { return options_.registry; }
    const Retry& retry() const { return options_.retry; }
    net::ClientRequest request(net::Verb verb, std::string target) const;

    /// Sends with the credential we have for `scope`; after a 401 gets what is asked for and sends once more.
    /// A request whose body is not a stream is repeated as Retry says. GET and HEAD follow redirects. Only
    /// the registry's own origin ever sees a credential of the registry.
    net::Async<Result<net::ClientResponse>> send(net::ClientRequest request, std::string scope);
    /// The error that a response stands for; reads its body, so that the connection can be used again.
    net::Async<Error> error_of(net::ClientResponse& response) const;
    /// For a response of no further interest.
    net::Async<void> drop(net::ClientResponse& response) const;
    /// For a request that was not repeated because of its body: gets a new credential after its 401.
    net::Async<Result<void>> renew(const net::ClientResponse& response, std::string scope);

  private:
    net::Async<Result<net::ClientResponse>> send_repeating(net::ClientRequest request, bool repeatable);
    net::Async<Result<net::ClientResponse>> exchange(net::ClientRequest request);
    net::Client& client_for(const net::Url& url) const;

    net::Client& client_;
    RemoteOptions options_;
    RemoteAuth auth_;
    bool answered_ = false; // the registry is there: it is worth waiting for
};

} // namespace consign::oci
