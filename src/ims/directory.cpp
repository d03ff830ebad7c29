#include "directory.hpp"
#include "consign/base/log.hpp"

namespace consign::ims {

Result<void> Directory::reload(store::Connection& c) {
    std::unordered_map<AgentId, AgentEntry> agents;
    CONSIGN_CHECK(c.query(
        "SELECT id, kind, install, public_key, version, hostname, revoked, enrolled_at, last_seen FROM agents", {},
        [&](const store::Row& row) {
            AgentEntry entry{.id = row.id<AgentId>(0),
                             .kind = json::enum_from<protocol::AgentKind>(row.text(1)).value_or(protocol::AgentKind::install),
                             .install = row.id<InstallId>(2)};
            auto key = PublicKey::from_pem(row.text(3));
            if (!key) {
                log::error("agent has an unreadable key; it cannot sign in", {{"agent", entry.id.str()}});
                return true;
            }
            entry.key = *key;
            entry.version = row.string(4);
            entry.hostname = row.string(5);
            entry.revoked = row.boolean(6);
            entry.enrolled_at = row.time(7);
            entry.presence = std::make_shared<Presence>();
            if (const auto seen = row.optional_time(8)) entry.presence->last_seen = *seen;
            agents.emplace(entry.id, std::move(entry));
            return true;
        }));
    // The session survives an IMS restart: an agent that goes on polling is not a new one.
    CONSIGN_CHECK(c.query("SELECT agent, id FROM agent_sessions WHERE superseded = 0", {}, [&](const store::Row& row) {
        if (const auto found = agents.find(row.id<AgentId>(0)); found != agents.end())
            found->second.presence->session = row.id<SessionId>(1);
        return true;
    }));
    std::unordered_map<std::string, UserEntry> users;
    CONSIGN_CHECK(c.query("SELECT hash, id, name, role, expires_at FROM user_tokens WHERE revoked=0", {},
                          [&](const store::Row& row) {
                              users.emplace(row.string(0),
                                            UserEntry{.id = row.id<TokenId>(1),
                                                      .name = row.string(2),
                                                      .role = json::enum_from<protocol::Role>(row.text(3))
                                                                  .value_or(protocol::Role::viewer),
                                                      .expires_at = row.optional_time(4)});
                              return true;
                          }));

    std::lock_guard lock(mutex_);
    for (auto& [id, entry] : agents) // requests that are under way hold on to the presence there is
        if (const auto known = agents_.find(id); known != agents_.end()) entry.presence = known->second.presence;
    agents_ = std::move(agents);
    users_ = std::move(users);
    return {};
}

std::optional<AgentEntry> Directory::agent(const AgentId& id) const {
    std::lock_guard lock(mutex_);
    const auto found = agents_.find(id);
    return found == agents_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<AgentEntry> Directory::agent_of(const InstallId& install) const {
    std::lock_guard lock(mutex_);
    for (const auto& [id, entry] : agents_)
        if (entry.install == install && !entry.revoked) return entry;
    return std::nullopt;
}

std::vector<AgentEntry> Directory::agents() const {
    std::lock_guard lock(mutex_);
    std::vector<AgentEntry> out;
    for (const auto& [id, entry] : agents_) out.push_back(entry);
    return out;
}

std::optional<UserEntry> Directory::user_by_token(std::string_view token) const {
    const auto hash = sha256_hex(token);
    std::lock_guard lock(mutex_);
    const auto found = users_.find(hash);
    return found == users_.end() ? std::nullopt : std::optional(found->second);
}

bool Directory::online(const AgentEntry& agent, Time now) {
    std::lock_guard lock(agent.presence->mutex);
    return agent.presence->parked > 0 || now - agent.presence->last_seen < std::chrono::seconds(90);
}

std::optional<Time> Directory::last_seen(const AgentEntry& agent) {
    std::lock_guard lock(agent.presence->mutex);
    if (agent.presence->last_seen == Time{}) return std::nullopt;
    return agent.presence->last_seen;
}

} // namespace consign::ims
