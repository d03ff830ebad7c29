#pragma once
#include "credential_sources.hpp"
#include "single_flight.hpp"

namespace consign::oci::aws {

/// AWS's default credential chain: environment, web identity, shared files, container endpoint, instance
/// metadata. The credentials are kept and replaced some minutes before they end. On the client's thread only.
class CredentialChain {
  public:
    CredentialChain(net::Client& client, net::BlockingPool& pool, const Clock& clock,
                    Environment environment);

    /// unauthenticated, when no source has any: the message says what each said. An error of the first source
    /// that is configured otherwise. When they cannot be renewed, the old ones are good until they end.
    net::Async<Result<Credentials>> get();
    net::Async<Result<std::string>> region();
    const Environment& environment() const { return around_.environment; }

  private:
    net::Async<Result<Credentials>> find();

    net::Client metadata_;
    Surroundings around_;
    Kept<Credentials> kept_;
};

} // namespace consign::oci::aws
