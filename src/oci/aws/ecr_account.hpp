#pragma once
#include "consign/oci/registry_account.hpp"
#include "endpoints.hpp"

namespace consign::oci::aws {

/// `host` may be without account and region: then the identity's own account, and the chain's region.
Result<std::unique_ptr<RegistryAccount>> open_ecr_account(net::Executor executor, net::BlockingPool& pool,
                                                          net::Url url, std::string prefix, EcrHost host,
                                                          AccountOptions options);

} // namespace consign::oci::aws
