#pragma once
// The two calls of AWS's Security Token Service that we need (API version 2011-06-15).
#include "call.hpp"

namespace consign::oci::aws {

struct AssumeRole {
    std::string role_arn;
    std::string session_name; ///< reduced to what AWS takes: letters, digits, "+=,.@-_", 2 to 64 of them
    std::string external_id = {};
    std::string policy = {}; ///< JSON; what the session may do is the intersection with the role's policies
    std::chrono::seconds duration = std::chrono::hours(1); ///< 15 min to 12 h
};

struct Sts {
    net::Url endpoint;
    std::string region;
};

net::Async<Result<Credentials>> assume_role(net::Client& client, const Clock& clock, Sts sts,
                                            Credentials caller, AssumeRole request);
/// Unsigned: the token is the proof. `request.policy` and `external_id` are not sent.
net::Async<Result<Credentials>> assume_role_with_web_identity(net::Client& client, const Clock& clock,
                                                              Sts sts, AssumeRole request,
                                                              Secret<std::string> token);

/// What reading one ECR repository takes, and nothing else: the session policy of a pull token.
std::string pull_policy(std::string_view repository_arn);

} // namespace consign::oci::aws
