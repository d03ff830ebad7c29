#pragma once
// What stands between the Docker token flow and a Grant: the scopes that a client asks for, and the claim of
// the token that says what it got. Pure; any thread.
#include "consign/base/json.hpp"
#include "consign/oci/registry_server.hpp"
#include <span>

namespace consign::oci {

/// What of `allowed` the `scopes` ask for (distribution, "Token Scope Documentation"). Each is a list with
/// spaces between of "repository:NAME:ACTION,ACTION" with pull, push, delete and "*" for all of them, or
/// "registry:catalog:*". Asking for more than is allowed, for what we do not know, or in a wrong form is no
/// error: it just gives nothing. Asked for nothing it allows nothing. The result fits into a token
/// (kTokenGrantBytes as JSON); what does not fit is left out.
Grant narrow(const Grant& allowed, std::span<const std::string> scopes);
inline constexpr std::size_t kTokenGrantBytes = 5 * 1024;

/// The same grant as scopes, for the `scope` of an OAuth2 answer.
std::string to_scope(const Grant& grant);

/// The claims "access" and "catalog" of a token, and back again. invalid_argument names what is wrong; an
/// action we do not know gives nothing.
void add_claims(json::Value& claims, const Grant& grant);
Result<Grant> grant_of_claims(const json::Value& claims);

} // namespace consign::oci
