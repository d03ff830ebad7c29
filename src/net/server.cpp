#include "consign/net/server.hpp"
#include "consign/base/log.hpp"
#include "net/worker.hpp"

namespace consign::net {

struct Server::Impl {
    ServerOptions options;
    Handler handler;
    TlsContext tls;
    Tcp::endpoint endpoint;
    Census census;
    std::vector<std::unique_ptr<Worker>> workers;
    bool running = false;
};

Server::Server() : impl_(std::make_unique<Impl>()) {}

Server::~Server() { drain(std::chrono::milliseconds(0)); }

Result<std::unique_ptr<Server>> Server::bind(ServerOptions options, Handler handler) {
    ignore_sigpipe();
    if (options.tls_certificate_file.empty() != options.tls_key_file.empty())
        return fail(Code::invalid_argument, "TLS needs both a certificate and a key");
    std::unique_ptr<Server> server(new Server());
    Impl& impl = *server->impl_;
    impl.options = std::move(options);
    impl.handler = std::move(handler);
    if (!impl.options.tls_certificate_file.empty()) {
        CONSIGN_TRY(context, make_server_tls(impl.options.tls_certificate_file, impl.options.tls_key_file));
        impl.tls = std::move(context);
    }
    const std::size_t threads = std::max<std::size_t>(impl.options.threads, 1);
    CONSIGN_TRY(listeners, listen_on(impl.options.address, impl.options.port, threads));
    impl.endpoint = listeners.endpoint;
    for (auto& listener : listeners.sockets)
        impl.workers.push_back(std::make_unique<Worker>(impl.options, impl.handler, impl.tls.get(),
                                                        impl.census, std::move(listener),
                                                        impl.endpoint.protocol()));
    return server;
}

std::uint16_t Server::port() const { return impl_->endpoint.port(); }

void Server::start() {
    if (std::exchange(impl_->running, true)) return;
    for (auto& worker : impl_->workers) worker->start();
}

Executor Server::executor(std::size_t index) { return impl_->workers.at(index)->executor(); }

std::size_t Server::connections() const { return impl_->census.connections; }

void Server::drain(std::chrono::milliseconds grace) {
    if (!std::exchange(impl_->running, false)) return;
    for (auto& worker : impl_->workers) worker->drain();
    {
        std::unique_lock lock(impl_->census.mutex);
        impl_->census.changed.wait_for(lock, grace, [this] { return impl_->census.connections == 0; });
    }
    for (auto& worker : impl_->workers) worker->finish();
    // A handler that is inside the database or the blocking pool is waited for: ending the thread under
    // it would resume it in freed memory. One that ignores its cancellation is a bug worth a line in the log.
    for (auto& worker : impl_->workers)
        while (!worker->ended_within(std::chrono::seconds(10)))
            log::warn("still waiting for a request to end");
}

} // namespace consign::net
