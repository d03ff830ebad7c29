#include "net/listener.hpp"
#include <boost/asio/ip/address.hpp>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>

namespace consign::net {

namespace {
constexpr int kBacklog = 4096; // ten thousand agents reconnect at once after a restart; the kernel caps it

Result<Fd> bind_to(Tcp::endpoint& endpoint, bool share) {
    const std::string where =
        "port " + std::to_string(endpoint.port()) + " on " + endpoint.address().to_string();
    Fd fd(::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
    if (!fd) return fail_errno("cannot open a socket", errno);
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (share) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (::bind(fd.get(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0) {
        const int why = errno;
        if (why == EADDRINUSE)
            return fail(Code::conflict, where + " is in use",
                        "stop the process that has it, or pick another with --listen");
        if (why == EACCES)
            return fail(Code::permission_denied, "not allowed to listen on " + where,
                        "pick a port above 1023 with --listen");
        return fail(Code::invalid_argument, "cannot listen on " + where + ": " + std::strerror(why));
    }
    auto size = static_cast<socklen_t>(endpoint.capacity());
    if (::getsockname(fd.get(), endpoint.data(), &size) != 0)
        return fail_errno("cannot read a socket's address", errno);
    return fd;
}

Result<void> start_listening(const Fd& fd, const Tcp::endpoint& endpoint) {
    if (::listen(fd.get(), kBacklog) == 0) return {};
    if (errno == EADDRINUSE)
        return fail(Code::conflict,
                    "port " + std::to_string(endpoint.port()) + " on " + endpoint.address().to_string() +
                        " is in use",
                    "stop the process that has it, or pick another with --listen");
    return fail_errno("cannot listen", errno);
}
} // namespace

Result<Listeners> listen_on(const std::string& address, std::uint16_t port, std::size_t count) {
    boost::system::error_code error;
    const auto parsed = asio::ip::make_address(address == "localhost" ? "127.0.0.1" : address, error);
    if (error)
        return fail(Code::invalid_argument, "'" + address + "' is not an IP address to listen on",
                    "for example 127.0.0.1 or 0.0.0.0");
    Listeners out;
    out.endpoint = {parsed, port};
    {
        // SO_REUSEPORT would let us join another process of the same user on its port, and take half of
        // its connections. A first socket without it finds that out (and the port, if the kernel picks).
        CONSIGN_TRY(first, bind_to(out.endpoint, false));
        CONSIGN_CHECK(start_listening(first, out.endpoint));
        if (count == 1) {
            out.sockets.push_back(std::move(first));
            return out;
        }
    }
    for (std::size_t i = 0; i < count; ++i) {
        CONSIGN_TRY(fd, bind_to(out.endpoint, true));
        CONSIGN_CHECK(start_listening(fd, out.endpoint));
        out.sockets.push_back(std::move(fd));
    }
    return out;
}

} // namespace consign::net
