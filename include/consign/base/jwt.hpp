#pragma once
#include "consign/base/clock.hpp"
#include "consign/base/keys.hpp"
#include <nlohmann/json_fwd.hpp>

namespace consign::jwt {

/// A compact ES256 JWT (RFC 7519, RFC 7515) of `claims`; the header carries the key's thumbprint as `kid`.
std::string sign(const nlohmann::json& claims, const PrivateKey& key);

/// The claims, if the signature is `key`'s, `alg` is ES256, and `exp`/`nbf`, where present, fit `now`
/// within `leeway`. Errors: unauthenticated, naming the reason (a clock off by more than the leeway says so).
Result<nlohmann::json> verify(std::string_view token, const PublicKey& key, Time now,
                              std::chrono::seconds leeway = std::chrono::seconds(60));

/// The claims without any check, to find out whose key to check with. Bounded: tokens over 8 KiB are refused.
Result<nlohmann::json> peek(std::string_view token);

} // namespace consign::jwt
