#pragma once
#include "consign/base/clock.hpp"
#include "consign/base/secret.hpp"
#include <optional>
#include <string>

namespace consign::oci::aws {

/// What signs a request to AWS.
struct Credentials {
    std::string access_key_id = {};
    Secret<std::string> secret_access_key = {};
    Secret<std::string> session_token = {}; ///< empty: a user's long-lived key
    std::optional<Time> expires_at = {};    ///< none: they do not
    std::string source = {};                ///< for messages: "the environment", "profile 'build'"
};

} // namespace consign::oci::aws
