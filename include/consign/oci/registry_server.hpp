#pragma once
#include "consign/net/server.hpp"
#include "consign/oci/registry.hpp"
#include <set>

namespace consign::oci {

enum class Action { pull, push, delete_ };

/// What the bearer of a request may do. Made by the authoriser from the token.
struct Grant {
    struct Scope {
        std::string repository; ///< exact name, or "*"
        std::set<Action> actions;
        /// Set for pull tokens: only this artifact's closure.
        std::optional<Digest> only;
    };
    std::vector<Scope> scopes;
};

/// Decides per request. An Error `unauthenticated` becomes 401 with the challenge; the registry itself
/// answers DENIED where the grant lacks the action.
using Authorise = std::function<net::Async<Result<Grant>>(const net::Request&)>;

struct RegistryServerOptions {
    bool read_only = false; ///< every write answers 405 UNSUPPORTED: the install registry's listener
    /// The realm of the 401 challenge ("https://ims.example/v2/token"), made per request; empty: Basic.
    std::function<std::string(const net::Request&)> realm = {};
    std::string service = "consign";
};

/// The HTTP side, paths under /v2/ (distribution-spec 1.1). handle() answers every request whose path is /v2
/// or below it, errors included, in the spec's error format.
class RegistryServer {
  public:
    RegistryServer(Registry& registry, Authorise authorise, RegistryServerOptions options = {});
    ~RegistryServer();
    net::Async<net::Response> handle(net::Request& request);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace consign::oci
