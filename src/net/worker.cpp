#include "net/worker.hpp"
#include "consign/base/log.hpp"
#include "consign/net/visit.hpp"
#include <arpa/inet.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>

namespace consign::net {

namespace {
// Out of descriptors: those who hang up make room; a pause keeps the thread from spinning meanwhile.
constexpr auto kNoDescriptorsPause = std::chrono::milliseconds(100);
constexpr std::size_t kAcceptBatch = 64;
constexpr std::size_t kTurnAwayAtOnce = 64;
constexpr auto kTurnAwayWithin = std::chrono::seconds(1);

std::string address_of(const sockaddr_storage& peer) {
    char text[INET6_ADDRSTRLEN] = "";
    if (peer.ss_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, &peer, sizeof v4);
        inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    } else {
        sockaddr_in6 v6{};
        std::memcpy(&v6, &peer, sizeof v6);
        inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    }
    return text;
}
} // namespace

Worker::Worker(const ServerOptions& options, const Handler& handler, SSL_CTX* tls, Census& census,
               Fd listener, Tcp protocol)
    : max_connections_(options.max_connections),
      host_{.options = options, .handler = handler, .census = census, .tls = tls},
      acceptor_(context_.get_executor()), protocol_(protocol), sessions_(context_.get_executor()),
      ending_(context_.get_executor()) {
    acceptor_.assign(protocol, listener.release());
}

Worker::~Worker() {
    if (thread_.joinable()) thread_.join();
    context_.stop();
    await_visits(context_);
}

void Worker::start() {
    sessions_.spawn(accept_loop());
    thread_ = std::thread([this] {
        for (;;) {
            try {
                context_.run();
                break;
            } catch (const std::exception& e) {
                log::error("a callback failed on an I/O thread", {{"error", e.what()}});
            }
        }
        const std::scoped_lock lock(mutex_);
        ended_ = true;
        changed_.notify_all();
    });
}

Async<void> Worker::accept_loop() {
    while (acceptor_.is_open() && !co_await cancelled()) {
        const auto [error] = co_await acceptor_.async_wait(Socket::wait_read, asio::as_tuple(use_async));
        if (error) {
            if (error == asio::error::operation_aborted) co_return;
            log::warn("cannot wait for connections", {{"error", error.message()}});
        }
        for (std::size_t i = 0; i < kAcceptBatch && acceptor_.is_open(); ++i) {
            sockaddr_storage peer{};
            socklen_t size = sizeof peer;
            Fd fd(::accept4(acceptor_.native_handle(), reinterpret_cast<sockaddr*>(&peer), &size,
                            SOCK_NONBLOCK | SOCK_CLOEXEC));
            if (!fd && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
                log::warn("cannot accept a connection", {{"error", std::strerror(errno)}});
                co_await sleep_for(kNoDescriptorsPause);
            }
            if (!fd) break;
            Socket socket(context_.get_executor());
            boost::system::error_code failed;
            socket.assign(protocol_, fd.get(), failed);
            if (failed) break;
            fd.release();
            if (host_.census.connections < max_connections_) {
                sessions_.spawn(Connection::serve(
                    std::make_shared<Connection>(host_, std::move(socket), address_of(peer))));
                continue;
            }
            // A TLS client could be told only after a handshake, which costs more than it is worth here.
            if (!host_.tls && turned_away_ < kTurnAwayAtOnce) sessions_.spawn(turn_away(std::move(socket)));
        }
    }
}

Async<void> Worker::turn_away(Socket socket) {
    ++turned_away_;
    Stream stream(std::move(socket));
    constexpr std::string_view kBusy =
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nContent-Length: 0\r\n"
        "Connection: close\r\n\r\n";
    const auto deadline = std::chrono::steady_clock::now() + kTurnAwayWithin;
    if (co_await stream.write_all(as_bytes(kBusy), kTurnAwayWithin)) {
        stream.finish_writing();
        for (;;) {
            const auto got = co_await stream.read_some(host_.scratch.all(), deadline);
            if (!got || *got == 0) break;
        }
    }
    --turned_away_;
}

void Worker::drain() {
    asio::post(context_, [this] {
        host_.draining = true;
        boost::system::error_code ignored;
        acceptor_.close(ignored);
        const std::vector<Connection*> connections(host_.connections.begin(), host_.connections.end());
        for (Connection* connection : connections) connection->drain();
    });
}

void Worker::finish() {
    asio::post(context_, [this] {
        sessions_.stop();
        const std::vector<Connection*> connections(host_.connections.begin(), host_.connections.end());
        for (Connection* connection : connections) connection->abort();
        ending_.spawn(end());
    });
}

Async<void> Worker::end() {
    co_await sessions_.join();
    guard_.reset();
    context_.stop(); // tasks that others left on our executor would keep it running
}

bool Worker::ended_within(std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [this] { return ended_; });
}

} // namespace consign::net
