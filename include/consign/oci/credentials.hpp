#pragma once
// Who we are to a registry, from where docker and podman keep it: config.json and auth.json
// (containers-auth.json(5)), credential helpers, and our own environment variables.
#include "consign/base/error.hpp"
#include "consign/base/secret.hpp"
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace consign::oci {

struct Credential {
    std::string username = {};
    Secret<std::string> password = {};
    /// An OAuth2 refresh token, sent to the token endpoint instead of a password.
    Secret<std::string> identity_token = {};
    std::string found_in = {}; ///< for messages: a file, a helper, "the environment"

    bool anonymous() const { return password.empty() && identity_token.empty(); }
};

/// Where credentials are looked for, in this order.
struct CredentialPlaces {
    /// "host[:port]" that CONSIGN_REGISTRY_USERNAME and CONSIGN_REGISTRY_PASSWORD are for; empty: they are
    /// not used. Never guessed: a password must not go to whatever registry a command happens to name.
    std::string environment_registry = {};
    std::vector<std::filesystem::path> files = {}; ///< those that are not there are passed over
    std::map<std::string, std::string> environment = {};
};

/// $REGISTRY_AUTH_FILE; $DOCKER_CONFIG/config.json or ~/.docker/config.json;
/// $XDG_RUNTIME_DIR/containers/auth.json;
/// ~/.config/containers/auth.json. The environment's registry is $CONSIGN_REGISTRY_HOST.
CredentialPlaces credential_places(std::map<std::string, std::string> environment);
std::map<std::string, std::string> process_environment();

/// The first credential for the repository: environment, then for each file a credHelpers entry of the
/// registry, an auths entry (of the longest path first: "host/team/app", "host/team", "host"), the file's
/// credsStore. Anonymous when there is none. Blocks (files and helpers). invalid_argument names a file or an
/// entry that cannot be read, failed a helper that broke.
Result<Credential> find_credential(const CredentialPlaces& places, std::string_view registry,
                                   std::string_view repository);

/// Keeps it in the first of `places.files`, mode 0600, every other entry as it was; in the helper instead
/// when that file names one for the registry, since docker would look there alone. Returns where it is now.
/// Blocks.
Result<std::string> store_credential(const CredentialPlaces& places, std::string_view registry,
                                     const Credential& credential);

} // namespace consign::oci
