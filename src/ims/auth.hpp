#pragma once
// Who calls, and what their tokens are good for. Claims: docs/protocol.md.
#include "consign/net/server.hpp"
#include "consign/oci/registry_server.hpp"
#include "core.hpp"

namespace consign::ims {

struct Caller {
    std::optional<UserEntry> user;
    std::optional<AgentEntry> agent;
    /// For the audit log: "owner", "agent agt_…", "nobody".
    std::string name() const;
};

namespace auth {

/// From the Authorization header. None: a Caller without user and agent. unauthenticated: one that is not
/// good.
Result<Caller> authenticate(const Core& core, const net::Request& request);
Result<Caller> authenticate_token(const Core& core, std::string_view token);

/// Whether the caller's token or agent is still good: a request may take its time to send its body, and
/// rights that were revoked meanwhile are gone.
Result<void> check_still_good(const Core& core, const Caller& caller);

/// RFC 7523: a client assertion signed by the agent's key becomes an access token of one hour. Each assertion
/// works once.
net::Async<Result<protocol::TokenResponse>> exchange_assertion(Core& core, std::string assertion);

/// A one-use enrolment token for the build role, or for one install.
Result<protocol::EnrollTokenView> make_enroll_token(Change& change, protocol::AgentKind kind,
                                                    const InstallId& install, int ttl_s,
                                                    std::string_view actor);
/// Burns the token and stores the agent; an install's earlier agent is revoked.
Result<protocol::EnrollResponse> enroll(Change& change, const Vendor& vendor,
                                        const protocol::EnrollRequest& request);

Result<protocol::TokenView> make_user_token(Change& change, const protocol::CreateTokenRequest& request,
                                            std::string_view actor);

/// What `caller` may do with artifacts; a pull token is redeemed with redeem_pull_token() instead.
oci::Grant grant_of(const Caller& caller);
inline constexpr std::string_view kPullTokenPrefix = "cpt_";
Result<protocol::PullToken> make_pull_token(Change& change, const JobId& job, std::int64_t epoch,
                                            const protocol::ArtifactRef& artifact,
                                            std::string_view registry_url);
struct PullSession {
    TokenId id;
    protocol::ArtifactRef artifact;
};
/// The first redemption burns the token; a second one is refused and audited. unauthenticated.
net::Async<Result<PullSession>> redeem_pull_token(Core& core, std::string token, std::string remote);
/// Whether the job that the pull token was made for still runs under the same epoch.
net::Async<Result<bool>> pull_session_live(Core& core, TokenId id);

/// Whose registry token it is: it stops to work when that token or agent is revoked, or the pull's job ends.
struct RegistryHolder {
    std::optional<TokenId> user, pull;
    std::optional<AgentId> agent;
};
RegistryHolder registry_holder(const Caller& caller);
/// The registry's own bearer token, carrying a grant; and back again.
std::string sign_registry_token(const Core& core, const oci::Grant& grant, const RegistryHolder& holder,
                                std::chrono::seconds ttl);
/// What may be used in the password's place at the token service, and for nothing else; users only.
std::optional<std::string> sign_refresh_token(const Core& core, const Caller& caller);
Result<Caller> authenticate_refresh_token(const Core& core, std::string_view token);
net::Async<Result<oci::Grant>> authorise_registry(Core& core, std::string authorization);

/// Basic credentials as (user, password).
std::optional<std::pair<std::string, std::string>> basic_credentials(std::string_view authorization);

} // namespace auth
} // namespace consign::ims
