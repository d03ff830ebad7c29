#pragma once
#include "challenge.hpp"
#include "consign/oci/remote.hpp"

namespace consign::oci {

/// The credential of one repository of a remote registry: nothing at first, then what the registry's
/// challenge asks for. A token is fetched once for reading and once for writing, however many requests need
/// it at the same time: a one-time password is burnt by the first fetch. On the client's thread only.
class RemoteAuth {
  public:
    RemoteAuth(net::Client& client, RemoteOptions options, std::string repository);

    /// What to send as Authorization; empty: nothing yet.
    std::string header(bool push) const { return push ? push_ : pull_; }
    /// After a 401 to a request that carried `refused`: gets what the challenge asks for.
    net::Async<Result<void>> renew(std::string challenge, bool push, std::string refused);

  private:
    net::Async<Result<std::string>> answer(std::string challenge, bool push, std::string refused);
    net::Async<Result<std::string>> fetch_token(Challenge bearer, bool push);
    Result<net::Url> token_url(const Challenge& bearer, bool push) const;
    std::string basic() const;

    net::Client& client_;
    RemoteOptions options_;
    std::string repository_;
    std::string pull_, push_;
    bool busy_ = false;
    net::Timer idle_; // cancelled when a renewal ends: wakes those that wait for it
};

} // namespace consign::oci
