#include "install/tcp_probe.hpp"
#include "consign/base/file.hpp"
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

namespace consign::install {
namespace {

/// 0, or the errno of the attempt; ECANCELED when `stopped` became readable.
int connect_to(const addrinfo& address, std::chrono::milliseconds deadline, int stopped) {
    const Fd socket(::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket) return errno;
    if (::connect(socket.get(), address.ai_addr, address.ai_addrlen) == 0) return 0;
    if (errno != EINPROGRESS) return errno;
    const auto until = std::chrono::steady_clock::now() + deadline;
    for (;;) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
        if (left <= 0) return ETIMEDOUT;
        pollfd fds[] = {{socket.get(), POLLOUT, 0}, {stopped, POLLIN, 0}};
        if (::poll(fds, 2, static_cast<int>(left)) < 0) continue; // EINTR
        if (fds[1].revents != 0) return ECANCELED;
        if (fds[0].revents == 0) continue;
        int error = 0;
        socklen_t size = sizeof error;
        if (::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
        return error;
    }
}

} // namespace

Result<HostPort> parse_host_port(std::string_view text) {
    const auto colon = text.rfind(':');
    HostPort out;
    auto host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']'))
        host = host.substr(1, host.size() - 2);
    else if (host.contains(':'))
        host = {};
    const auto port = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
    if (host.empty() || port.empty() || error != std::errc() || end != port.data() + port.size())
        return fail(Code::invalid_argument,
                    "'" + std::string(text) + "' is not an address of the form host:port",
                    "write for example 127.0.0.1:8500, or [::1]:8500");
    out.host = host;
    return out;
}

Result<void> probe_tcp(const std::string& target, std::chrono::milliseconds deadline, std::stop_token stop) {
    const auto start = "connect to " + target + " → ";
    const auto parsed = parse_host_port(target);
    if (!parsed) return fail(Code::failed, start + parsed.error().message);

    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    if (const int problem =
            ::getaddrinfo(parsed->host.c_str(), std::to_string(parsed->port).c_str(), &hints, &list))
        return fail(Code::failed, start + ::gai_strerror(problem));
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(list, &::freeaddrinfo);

    const Fd stopped(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!stopped) return fail_errno(start + "cannot watch for a stop", errno);
    const std::stop_callback on_stop(stop, [fd = stopped.get()] { ::eventfd_write(fd, 1); });
    int last = 0;
    for (const auto* address = list; address; address = address->ai_next) {
        last = connect_to(*address, deadline, stopped.get());
        if (last == 0) return {};
        if (last == ECANCELED) return fail(Code::cancelled, start + "cancelled");
    }
    return fail(Code::failed, start + std::strerror(last));
}

} // namespace consign::install
