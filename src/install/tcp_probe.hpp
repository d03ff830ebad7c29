#pragma once
#include "consign/base/error.hpp"
#include <chrono>
#include <stop_token>
#include <string>

namespace consign::install {

/// Connects to "host:port" or "[v6]:port" and hangs up. failed: why not; cancelled. Blocks.
Result<void> probe_tcp(const std::string& target, std::chrono::milliseconds deadline, std::stop_token stop);

struct HostPort {
    std::string host; ///< without brackets
    std::uint16_t port = 0;
};
Result<HostPort> parse_host_port(std::string_view text);

} // namespace consign::install
