#pragma once
#include "consign/net/server.hpp"
#include "consign/oci/registry.hpp"
#include <memory>
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
    bool catalog = false; ///< may list all repositories; so may who may pull from "*"
    /// What a new token of the same bearer could allow. A request that lacks only that is answered with a challenge
    /// (401, insufficient_scope), so that the client asks for more; other lacks are DENIED.
    std::shared_ptr<const Grant> obtainable = {};
    /// Whether the bearer still has these rights; empty: nothing can take them away. Asked again when the
    /// body of a request has come, which may take hours, before what it brought is made visible. A token that
    /// merely ran out meanwhile is still good.
    std::function<net::Async<Result<void>>()> recheck = {};
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

/// What stands in the body of a registry's answer to an error, for what answers beside the RegistryServer
/// (the token service): {"errors": [{code, message, detail}]} with the code's HTTP status.
net::Response registry_error(const Error& error);

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
