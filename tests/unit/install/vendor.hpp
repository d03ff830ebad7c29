#pragma once
#include "bundle.hpp"
#include "consign/oci/registry_server.hpp"
#include <atomic>

namespace consign::install::test {

inline net::Async<Result<oci::Grant>> allow(const net::Request&) {
    oci::Grant grant;
    grant.scopes.push_back({.repository = "*", .actions = {oci::Action::pull}, .only = std::nullopt});
    co_return grant;
}

/// A vendor registry that asks nobody for a token.
struct Vendor {
    TemporaryDirectory directory = scratch();
    net::BlockingPool pool{2};
    std::unique_ptr<oci::Registry> registry;
    std::unique_ptr<oci::RegistryServer> registry_server;
    std::atomic<int> requests = 0;
    std::unique_ptr<net::Server> server;

    Vendor() {
        auto opened = oci::Registry::open(directory.path(), pool);
        REQUIRE(opened);
        registry = std::move(*opened);
        registry_server = std::make_unique<oci::RegistryServer>(*registry, allow);
        auto bound = net::Server::bind({}, [this](net::Request& request) {
            ++requests;
            return registry_server->handle(request);
        });
        REQUIRE(bound);
        server = std::move(*bound);
        server->start();
    }
    ~Vendor() { server->drain(1s); }
    protocol::PullToken token(const protocol::ArtifactRef& artifact) const {
        return {.registry = "http://127.0.0.1:" + std::to_string(server->port()),
                .repository = artifact.repository,
                .digest = artifact.digest,
                .username = "token",
                .password = "one-time-password",
                .expires_at = {}};
    }
};

} // namespace consign::install::test
