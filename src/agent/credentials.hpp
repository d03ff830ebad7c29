#pragma once
#include "agent/exchange.hpp"
#include "consign/agent/agent.hpp"

namespace consign::agent {

/// The signed statement "I am this agent" for the IMS `audience` (RFC 7523 section 3), good for a minute.
std::string make_assertion(const AgentId& agent, std::string_view audience, const PrivateKey& key, Time now);

/// Gets access tokens with signed assertions, keeps the newest and renews it before it runs out. Not
/// thread-safe: on the executor of its client.
class Credentials {
  public:
    Credentials(net::Client& http, net::Url ims, const Identity& identity, PrivateKey key);

    /// A token that is good for a minute at least. unauthenticated: the IMS does not know this agent, or the
    /// clocks disagree; the message says which.
    net::Async<Result<std::string>> token();
    /// The IMS refused `token`: it is not handed out again.
    void refuse(std::string_view token);
    /// From now on assertions are signed with this key; the token that the old one got is not handed out again.
    void use(PrivateKey key);

  private:
    net::Client& http_;
    net::Url url_;
    AgentId agent_;
    std::string audience_;
    PrivateKey key_;
    SystemClock clock_;
    Secret<std::string> token_;
    net::SteadyTime renew_at_{};
};

} // namespace consign::agent
