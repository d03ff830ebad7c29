#pragma once
// Amazon ECR's API (2015-09-21), as far as a registry client needs it.
#include "call.hpp"
#include "credential_chain.hpp"

namespace consign::oci::aws {

/// How repositories that do not exist yet are made.
struct NewRepository {
    bool immutable_tags = false;
    bool scan_on_push = false;
};

/// One registry of one account in one region, seen with one identity. On the client's thread only.
class Ecr {
  public:
    /// `who` is asked for credentials before each call.
    using Identity = std::function<net::Async<Result<Credentials>>()>;
    /// `account`: 12 digits, or empty for the identity's own.
    Ecr(net::Client& client, const Clock& clock, Identity who, net::Url endpoint, std::string region,
        std::string account);

    /// A user name and a password for the registry, for 12 hours; not kept here.
    net::Async<Result<EcrAuthorization>> authorization();
    /// not_found.
    net::Async<Result<EcrRepository>> describe(std::string name);
    /// conflict: it exists.
    net::Async<Result<EcrRepository>> create(std::string name, NewRepository how);

  private:
    net::Async<Result<std::string>> call(std::string operation, json::Value parameters);
    net::Client& client_;
    const Clock& clock_;
    Identity who_;
    net::Url endpoint_;
    std::string region_, account_;
};

} // namespace consign::oci::aws
