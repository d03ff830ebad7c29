#pragma once
// What people and the agents themselves change about agents: rights, keys, and what an agent is able to do.
#include "change.hpp"
#include "consign/base/keys.hpp"

namespace consign::ims::agents {

/// Takes its rights away for good, and queues what it holds. not_found.
Result<void> retire(Change& change, const AgentId& id, std::string_view reason);

/// Draining: it finishes what it has and is given nothing new, until it is let go on. not_found; conflict for
/// an agent that is revoked.
Result<void> set_draining(Change& change, const AgentId& id, bool draining, std::string_view actor);

/// The agent is asked for a new key with its next poll. not_found, conflict as above.
Result<void> ask_for_key(Change& change, const AgentId& id, std::string_view actor);
/// The agent has made one: it is good beside the old one until it is used. invalid_argument: not a P-256 key;
/// conflict: nobody asked for one.
Result<void> offer_key(Change& change, const AgentId& id, std::string_view public_key);
/// The offered key was used: the old one is worth nothing from now on.
Result<void> take_key(Change& change, const AgentId& id, const PublicKey& key);

/// What its program can do; an event when that has changed.
Result<void> report(Change& change, const AgentId& id, const protocol::AgentAbilities& abilities);
/// The names a report is stored as, and back; what this server does not know is left out.
std::string join_kinds(const std::vector<std::string>& names);
std::vector<protocol::JobKind> split_kinds(std::string_view stored, protocol::AgentKind kind);

} // namespace consign::ims::agents
