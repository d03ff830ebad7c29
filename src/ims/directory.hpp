#pragma once
// Who there is: agents and holders of user tokens, kept in memory so that no request pays a query to be
// authenticated. The rows in the store are the truth; refresh() after a change.
#include "change.hpp"
#include "consign/base/keys.hpp"
#include "consign/net/mailbox.hpp"
#include <mutex>
#include <unordered_map>
#include <unordered_set>

namespace consign::ims {

/// What only this process knows of an agent. Shared by the requests of that agent; guarded by its mutex.
struct Presence {
    Presence(AgentId whose, Pool of) : agent(std::move(whose)), pool(std::move(of)) {}
    const AgentId agent;
    const Pool pool;
    net::Mailbox mailbox; ///< notified when there may be work, a cancel, or a newer session
    std::mutex mutex;
    SessionId session;
    std::uint64_t sessions = 0; ///< how many there were since the start: names the present one
    Time last_seen{};
    bool left = false;              ///< its last poll said that it stops
    int parked = 0;                 ///< polls waiting now
    std::uint64_t generation = 0;   ///< of the newest poll; an older one must not claim
    std::unordered_set<JobId> told; ///< cancels this session has heard of
};

struct AgentEntry {
    AgentId id;
    protocol::AgentKind kind = protocol::AgentKind::install;
    InstallId install;
    PublicKey key;
    std::optional<PublicKey> next_key; ///< offered by the agent, good too, and takes over with its first use
    bool rotate_key = false;           ///< somebody asked for a new key
    std::string version, hostname;
    std::vector<protocol::JobKind> job_kinds; ///< that its program can run
    bool revoked = false, draining = false;
    Time enrolled_at{};
    std::shared_ptr<Presence> presence;

    Pool pool() const { return Pool{install}; }
};

struct UserEntry {
    TokenId id;
    std::string name;
    protocol::Role role = protocol::Role::viewer;
    std::optional<Time> expires_at;
};

/// Any thread.
class Directory {
  public:
    Result<void> load(store::Connection& c); ///< everything, at the start
    Result<void> refresh(store::Connection& c, const std::set<AgentId>& agents, bool users);

    std::optional<AgentEntry> agent(const AgentId& id) const;
    std::optional<AgentEntry> agent_of(const InstallId& install) const; ///< the one that is not revoked
    std::vector<AgentEntry> agents() const;
    std::vector<AgentEntry> build_agents() const; ///< those that are not revoked
    std::optional<UserEntry> user_by_token(std::string_view token) const;
    std::optional<UserEntry> user(const TokenId& id) const;
    bool has_user(const TokenId& id) const;

    /// A poll is parked, or the agent was heard from less than 90 s ago (longer than a poll's 50 s and its
    /// answer) and did not say that it stops.
    static bool online(const AgentEntry& agent, Time now);
    static std::optional<Time> last_seen(const AgentEntry& agent);
    static bool has_left(const AgentEntry& agent);

  private:
    void put(AgentEntry entry);
    Result<void> load_users(store::Connection& c);

    std::mutex refreshing_; ///< an older reading must not overwrite a newer one
    mutable std::mutex mutex_;
    std::unordered_map<AgentId, AgentEntry> agents_;
    std::unordered_map<InstallId, AgentId> by_install_; ///< agents that are not revoked
    std::unordered_map<std::string, UserEntry> users_;  ///< by the token's hash
};

} // namespace consign::ims
