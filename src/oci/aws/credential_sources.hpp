#pragma once
// Where AWS credentials come from. Each source is asked once per refresh; credential_chain.hpp has their
// order.
#include "consign/net/client.hpp"
#include "credentials.hpp"
#include "endpoints.hpp"
#include "profile_file.hpp"

namespace consign::oci::aws {

/// What the sources look at. All on the client's thread; it outlives their coroutines.
struct Surroundings {
    Environment environment;
    net::Client& client;
    /// For 169.254.169.254 and the like: short deadlines, because elsewhere nobody answers there.
    net::Client& metadata;
    net::BlockingPool& pool;
    const Clock& clock;
};

/// What a source says: credentials, or why it has none. A source that is configured and fails answers an
/// Error instead: going on with another identity would be a surprise.
struct Said {
    std::optional<Credentials> credentials = {};
    std::string why_not = {};
};
using Source = net::Async<Result<Said>> (*)(const Surroundings&);

/// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN.
net::Async<Result<Said>> from_environment(const Surroundings& around);
/// AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN (EKS: IAM roles for service accounts).
net::Async<Result<Said>> from_web_identity(const Surroundings& around);
/// AWS_PROFILE of AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE: keys, role_arn with source_profile,
/// credential_source or web_identity_token_file, credential_process. unsupported: sso_*, mfa_serial.
net::Async<Result<Said>> from_profile(const Surroundings& around);
/// AWS_CONTAINER_CREDENTIALS_RELATIVE_URI (ECS) or _FULL_URI (EKS pod identity).
net::Async<Result<Said>> from_container(const Surroundings& around);
/// IMDSv2; never version 1, which any server-side request forgery could use.
net::Async<Result<Said>> from_instance(const Surroundings& around);

/// Where the container endpoint is; nullopt: none is configured. Plain http only to this machine and to the
/// addresses of ECS and EKS: the answer is a secret. permission_denied otherwise.
Result<std::optional<net::Url>> container_endpoint(const Environment& environment);

/// Both files merged, a setting of the credentials file before one of the config file. Blocks.
Result<Profiles> load_profiles(const Environment& environment);
/// $AWS_PROFILE, or "default".
std::string profile_name(const Environment& environment);

/// The instance's region. not_found without a metadata service.
net::Async<Result<std::string>> instance_region(const Surroundings& around);
/// AWS_REGION, AWS_DEFAULT_REGION, the profile's, the instance's.
net::Async<Result<std::string>> find_region(const Surroundings& around);

} // namespace consign::oci::aws
