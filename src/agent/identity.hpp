#pragma once
#include "agent/exchange.hpp"
#include "consign/agent/agent.hpp"

namespace consign::agent {

/// DATA/agent.json; none: this directory was never enrolled. Blocks.
Result<std::optional<Identity>> load_identity(const std::filesystem::path& data);
/// Atomically, mode 0600. Blocks.
Result<void> save_identity(const std::filesystem::path& data, const Identity& identity);

/// The URL of an IMS as a person writes it, without a slash at its end, so that paths can be appended.
Result<net::Url> parse_ims_url(std::string_view text);

/// Trades the one-use token for an identity. Errors say in one line what is wrong and what to do.
net::Async<Result<Identity>> enroll(net::Client& http, net::Url ims, protocol::EnrollRequest request);

/// How a new token is made, as a hint.
std::string enroll_hint(protocol::AgentKind kind);

} // namespace consign::agent
