#include "agents.hpp"
#include "consign/base/keys.hpp"
#include "leases.hpp"
#include <format>

namespace consign::ims::agents {
namespace {

/// Of an agent that has rights: an UPDATE of its row.
Result<void> update(Change& change, const AgentId& id, std::string_view assignment, store::Value value) {
    CONSIGN_TRY(revoked, change.tx.query_one("SELECT revoked FROM agents WHERE id=$1", {id},
                                             [](const store::Row& row) { return row.boolean(0); }));
    if (!revoked) return fail(Code::not_found, "no agent " + id.str(), "see: consign agent list");
    if (*revoked) return fail(Code::conflict, std::format("agent {} is revoked", id.str()));
    CONSIGN_CHECK(
        change.tx.execute(std::format("UPDATE agents SET {} WHERE id=$1", assignment), {id, value}));
    change.effects.agents.insert(id);
    return {};
}

} // namespace

Result<void> retire(Change& change, const AgentId& id, std::string_view reason) {
    CONSIGN_TRY(rows, change.tx.execute("UPDATE agents SET revoked=1, draining=0 WHERE id=$1", {id}));
    if (rows == 0) return fail(Code::not_found, "no agent " + id.str(), "see: consign agent list");
    change.effects.agents.insert(id);
    change.effects.tell.insert(id);
    CONSIGN_CHECK(jobs::lose_all(change, id, reason));
    return change.event({.kind = "agent.revoked", .detail = id.str()});
}

Result<void> set_draining(Change& change, const AgentId& id, bool draining, std::string_view actor) {
    CONSIGN_CHECK(update(change, id, "draining=$2", draining));
    change.effects.tell.insert(id); // one that may go on looks for work at once
    CONSIGN_CHECK(change.audit(actor, draining ? "agent.drain" : "agent.resume", id.str()));
    return change.event({.kind = draining ? "agent.draining" : "agent.resumed", .detail = id.str()});
}

Result<void> ask_for_key(Change& change, const AgentId& id, std::string_view actor) {
    CONSIGN_CHECK(update(change, id, "rotate_key=$2", true));
    change.effects.tell.insert(id);
    return change.audit(actor, "agent.rotate_key", id.str());
}

Result<void> offer_key(Change& change, const AgentId& id, std::string_view public_key) {
    CONSIGN_TRY(key, PublicKey::from_pem(public_key));
    CONSIGN_TRY(asked, change.tx.query_one("SELECT 1 FROM agents WHERE id=$1 AND rotate_key=1", {id},
                                           [](const store::Row&) { return true; }));
    // Else whoever got hold of an access token, good for an hour, could become the agent for good.
    if (!asked)
        return fail(Code::conflict, "nobody asked this agent for a new key",
                    "ask for one: consign agent rotate-key " + id.str());
    CONSIGN_CHECK(update(change, id, "next_key=$2", key.to_pem()));
    return change.audit("agent " + id.str(), "agent.key_offered", id.str(), key.thumbprint());
}

Result<void> take_key(Change& change, const AgentId& id, const PublicKey& key) {
    CONSIGN_TRY(rows, change.tx.execute("UPDATE agents SET public_key=next_key, next_key='', rotate_key=0 "
                                        "WHERE id=$1 AND next_key = $2",
                                        {id, key.to_pem()}));
    if (rows == 0) return {}; // another request of the same agent was here first, or offered another key since
    change.effects.agents.insert(id);
    CONSIGN_CHECK(change.audit("agent " + id.str(), "agent.key_rotated", id.str()));
    return change.event({.kind = "agent.key_rotated", .detail = id.str()});
}

Result<void> report(Change& change, const AgentId& id, const protocol::AgentAbilities& abilities) {
    if (abilities.version.size() > 128 || abilities.job_kinds.size() > 64)
        return fail(Code::invalid_argument, "an agent's version has at most 128 characters, its job_kinds 64");
    const auto kinds = join_kinds(abilities.job_kinds);
    CONSIGN_TRY(rows, change.tx.execute("UPDATE agents SET version=$2, job_kinds=$3 WHERE id=$1 AND (version "
                                        "<> $2 OR job_kinds <> $3)",
                                        {id, abilities.version, kinds}));
    if (rows == 0) return {};
    change.effects.agents.insert(id);
    return change.event({.kind = "agent.version", .detail = id.str() + " " + abilities.version});
}

std::string join_kinds(const std::vector<std::string>& names) {
    std::string out;
    for (const auto& name : names)
        if (json::enum_from<protocol::JobKind>(name)) out += (out.empty() ? "" : ",") + name;
    return out;
}

std::vector<protocol::JobKind> split_kinds(std::string_view stored, protocol::AgentKind kind) {
    using protocol::JobKind;
    // An agent that has not said yet can what all of its kind can.
    if (stored.empty())
        return kind == protocol::AgentKind::build ? std::vector{JobKind::build}
                                                  : std::vector{JobKind::apply, JobKind::teardown};
    std::vector<JobKind> out;
    while (!stored.empty()) {
        const auto comma = std::min(stored.find(','), stored.size());
        if (const auto known = json::enum_from<JobKind>(stored.substr(0, comma))) out.push_back(*known);
        stored.remove_prefix(std::min(comma + 1, stored.size()));
    }
    return out;
}

} // namespace consign::ims::agents
