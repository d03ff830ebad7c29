#include "directory.hpp"
#include "agents.hpp"
#include "consign/base/log.hpp"
#include <algorithm>

namespace consign::ims {

namespace {

constexpr std::string_view kAgentSelect =
    "SELECT a.id, a.kind, a.install, a.public_key, a.version, a.hostname, a.revoked, a.enrolled_at, "
    "a.last_seen, a.next_key, a.rotate_key, a.job_kinds, a.draining, s.id "
    "FROM agents a LEFT JOIN agent_sessions s ON s.agent = a.id AND s.superseded = 0 ";

std::optional<AgentEntry> agent_of_row(const store::Row& row) {
    AgentEntry entry{
        .id = row.id<AgentId>(0),
        .kind = json::enum_from<protocol::AgentKind>(row.text(1)).value_or(protocol::AgentKind::install),
        .install = row.id<InstallId>(2)};
    auto key = PublicKey::from_pem(row.text(3));
    if (!key) {
        log::error("agent has an unreadable key; it cannot sign in", {{"agent", entry.id.str()}});
        return std::nullopt;
    }
    entry.key = *key;
    entry.version = row.string(4);
    entry.hostname = row.string(5);
    entry.revoked = row.boolean(6);
    entry.enrolled_at = row.time(7);
    entry.presence = std::make_shared<Presence>(entry.id, entry.pool());
    if (const auto seen = row.optional_time(8)) entry.presence->last_seen = *seen;
    if (auto next = PublicKey::from_pem(row.text(9))) entry.next_key = *next;
    entry.rotate_key = row.boolean(10);
    entry.job_kinds = agents::split_kinds(row.text(11), entry.kind);
    entry.draining = row.boolean(12);
    // The session survives a restart of this server: an agent that goes on polling is not a new one.
    entry.presence->session = row.id<SessionId>(13);
    return entry;
}

} // namespace

void Directory::put(AgentEntry entry) {
    std::lock_guard lock(mutex_);
    if (entry.install) {
        if (!entry.revoked)
            by_install_[entry.install] = entry.id;
        else if (const auto found = by_install_.find(entry.install);
                 found != by_install_.end() && found->second == entry.id)
            by_install_.erase(found);
    }
    // Requests that are under way hold on to the presence there is.
    if (const auto known = agents_.find(entry.id); known != agents_.end())
        entry.presence = known->second.presence;
    agents_.insert_or_assign(entry.id, std::move(entry));
}

Result<void> Directory::load(store::Connection& c) {
    CONSIGN_CHECK(c.query(kAgentSelect, {}, [&](const store::Row& row) {
        if (auto entry = agent_of_row(row)) put(std::move(*entry));
        return true;
    }));
    return load_users(c);
}

Result<void> Directory::refresh(store::Connection& c, const std::set<AgentId>& agents, bool users) {
    std::lock_guard one_at_a_time(refreshing_);
    for (const auto& id : agents)
        CONSIGN_CHECK(c.query(std::string(kAgentSelect) + "WHERE a.id=$1", {id}, [&](const store::Row& row) {
            if (auto entry = agent_of_row(row)) put(std::move(*entry));
            return true;
        }));
    return users ? load_users(c) : Result<void>{};
}

Result<void> Directory::load_users(store::Connection& c) {
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
    const auto id = by_install_.find(install);
    if (id == by_install_.end()) return std::nullopt;
    const auto found = agents_.find(id->second);
    return found == agents_.end() ? std::nullopt : std::optional(found->second);
}

std::vector<AgentEntry> Directory::agents() const {
    std::lock_guard lock(mutex_);
    std::vector<AgentEntry> out;
    for (const auto& [id, entry] : agents_) out.push_back(entry);
    return out;
}

std::vector<AgentEntry> Directory::build_agents() const {
    std::lock_guard lock(mutex_);
    std::vector<AgentEntry> out;
    for (const auto& [id, entry] : agents_)
        if (entry.install.empty() && !entry.revoked) out.push_back(entry);
    return out;
}

std::optional<UserEntry> Directory::user_by_token(std::string_view token) const {
    const auto hash = sha256_hex(token);
    std::lock_guard lock(mutex_);
    const auto found = users_.find(hash);
    return found == users_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<UserEntry> Directory::user(const TokenId& id) const {
    std::lock_guard lock(mutex_);
    const auto found = std::ranges::find_if(users_, [&](const auto& item) { return item.second.id == id; });
    return found == users_.end() ? std::nullopt : std::optional(found->second);
}

bool Directory::has_user(const TokenId& id) const { return user(id).has_value(); }

bool Directory::online(const AgentEntry& agent, Time now) {
    std::lock_guard lock(agent.presence->mutex);
    if (agent.presence->left) return false;
    return agent.presence->parked > 0 || now - agent.presence->last_seen < std::chrono::seconds(90);
}

bool Directory::has_left(const AgentEntry& agent) {
    std::lock_guard lock(agent.presence->mutex);
    return agent.presence->left;
}

std::optional<Time> Directory::last_seen(const AgentEntry& agent) {
    std::lock_guard lock(agent.presence->mutex);
    if (agent.presence->last_seen == Time{}) return std::nullopt;
    return agent.presence->last_seen;
}

} // namespace consign::ims
