#include "net/client_connect.hpp"
#include "net/gate.hpp"
#include <boost/asio/ip/basic_resolver.hpp>

namespace consign::net {

namespace {
using Clock = std::chrono::steady_clock;
using Endpoints = std::vector<Tcp::endpoint>;

// The system's resolver runs on a thread of Asio's and cannot be interrupted: we stop waiting for it
// instead, and what it says later finds nobody.
struct Lookup final : Expirable, std::enable_shared_from_this<Lookup> {
    explicit Lookup(Executor executor) : resolver(executor) {}
    asio::ip::basic_resolver<Tcp, Executor> resolver;
    Gate gate;
    bool done = false;
    boost::system::error_code error;
    Endpoints endpoints;

    void start(const std::string& host, std::uint16_t port) {
        resolver.async_resolve(
            host, std::to_string(port), Tcp::resolver::numeric_service,
            [self = shared_from_this()](boost::system::error_code failed, const auto& results) {
                self->done = true;
                self->error = failed;
                for (const auto& entry : results) self->endpoints.push_back(entry.endpoint());
                self->gate.open();
            });
    }
    void expired() override { gate.open(); }
};

Async<Result<Endpoints>> resolve(Executor executor, std::string host, std::uint16_t port,
                                 SteadyTime deadline) {
    boost::system::error_code not_literal;
    if (const auto address = asio::ip::make_address(host, not_literal); !not_literal)
        co_return Endpoints{Tcp::endpoint(address, port)};
    const auto lookup = std::make_shared<Lookup>(executor);
    lookup->start(host, port);
    {
        const Deadline armed(DeadlineQueue::of(executor), deadline, *lookup);
        co_await lookup->gate.wait();
    }
    if (co_await cancelled()) co_return fail(Code::cancelled, "cancelled");
    if (!lookup->done) co_return fail(Code::timed_out, "resolving the name took too long");
    if (lookup->error)
        co_return fail(Code::unavailable, "cannot resolve the name: " + lookup->error.message());
    if (lookup->endpoints.empty()) co_return fail(Code::unavailable, "the name has no address");
    co_return lookup->endpoints;
}

Error describe(Error error, const Url& url) {
    if (error.code == Code::cancelled) return error;
    if (error.hint.empty()) error.hint = "check that the server runs and the URL is right";
    const std::string host = url.host.contains(':') ? "[" + url.host + "]" : url.host;
    return with_context(std::move(error), "cannot connect to " + host + ":" + std::to_string(url.port));
}
} // namespace

Async<Result<std::unique_ptr<ClientConnection>>> connect_to(Executor executor, Url url, SSL_CTX* tls,
                                                            bool verify, std::span<std::byte> scratch,
                                                            SteadyTime deadline) {
    const auto endpoints = co_await resolve(executor, url.host, url.port, deadline);
    if (!endpoints) co_return std::unexpected(describe(endpoints.error(), url));
    std::unique_ptr<ClientConnection> connection;
    Error last{Code::unavailable, "no address"};
    for (std::size_t i = 0; i < endpoints->size(); ++i) {
        // An address that swallows packets must not use up the time of those behind it.
        const auto now = Clock::now();
        const auto share = now + (deadline - now) / static_cast<std::int64_t>(endpoints->size() - i);
        connection = std::make_unique<ClientConnection>(executor, scratch, url.origin());
        const auto connected = co_await connection->stream.connect((*endpoints)[i], share);
        if (connected) break;
        connection.reset();
        last = connected.error();
        if (last.code == Code::timed_out) last.message = "no answer in time";
        if (last.code == Code::cancelled) break;
    }
    if (!connection) co_return std::unexpected(describe(std::move(last), url));
    if (tls) {
        CONSIGN_CO_TRY(session, new_session(tls));
        CONSIGN_CO_CHECK(expect_host(session.get(), url.host, verify));
        SSL_set_connect_state(session.get());
        const auto ready = co_await connection->stream.handshake(std::move(session), deadline);
        if (!ready) co_return std::unexpected(describe(ready.error(), url));
    }
    co_return connection;
}

} // namespace consign::net
