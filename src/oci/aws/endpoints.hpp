#pragma once
// Where AWS's services are, and what the name of an ECR registry says.
#include "consign/net/url.hpp"
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace consign::oci::aws {

using Environment = std::map<std::string, std::string>;
/// "" when it is not set.
std::string value_of(const Environment& environment, std::string_view name);

/// A private ECR registry's host name: ACCOUNT.dkr.ecr.REGION.amazonaws.com (and .cn, FIPS, the dual-stack
/// names ACCOUNT.dkr-ecr.REGION.on.aws, the other partitions').
struct EcrHost {
    std::string account; ///< 12 digits
    std::string region;
    bool fips = false, dual_stack = false;
    bool operator==(const EcrHost&) const = default;
};
std::optional<EcrHost> parse_ecr_host(std::string_view host);

/// The API of ECR in the host's region: $AWS_ENDPOINT_URL_ECR, $AWS_ENDPOINT_URL, else AWS's own.
Result<net::Url> ecr_endpoint(const EcrHost& host, const Environment& environment);
/// Likewise STS, $AWS_ENDPOINT_URL_STS. Regional: the global one is a single point of failure. FIPS and dual
/// stack by $AWS_USE_FIPS_ENDPOINT and $AWS_USE_DUALSTACK_ENDPOINT.
Result<net::Url> sts_endpoint(std::string_view region, const Environment& environment);

/// "eu-central-1": what may stand in a host name. Regions come from files and other services.
bool is_region(std::string_view text);

} // namespace consign::oci::aws
