#pragma once
#include "consign/base/file.hpp"
#include "net/stream.hpp"
#include <vector>

namespace consign::net {

struct Listeners {
    std::vector<Fd> sockets; ///< non-blocking, listening
    Tcp::endpoint endpoint;  ///< with the port the kernel picked
};

/// `count` sockets on one port. Errors: conflict (the port is taken), permission_denied, invalid_argument.
Result<Listeners> listen_on(const std::string& address, std::uint16_t port, std::size_t count);

} // namespace consign::net
