#pragma once
// A registry behind a real HTTP server, and a client, for the tests of both.
#include "consign/base/file.hpp"
#include "consign/net/client.hpp"
#include "consign/oci/copy.hpp"
#include "consign/oci/layout.hpp"
#include "consign/oci/registry_server.hpp"
#include "consign/oci/remote.hpp"
#include "oci/source.hpp"
#include <atomic>
#include <catch2/catch.hpp>

namespace consign::oci::testing {

inline Grant everything() {
    return {.scopes = {
                {.repository = "*", .actions = {Action::pull, Action::push, Action::delete_}, .only = {}}}};
}

/// What the server lets in; a test sets it before it sends anything.
struct Policy {
    Grant grant = everything();
    bool tokens = false;   ///< wants "Bearer <token>" and sends those without to /token
    bool one_time = false; ///< the second redemption is refused
    std::string token = "t1";
    std::atomic<int> redeemed = 0;
};

struct Site {
    TemporaryDirectory directory = std::move(*TemporaryDirectory::make("registry"));
    net::IoThread io;
    Policy policy;
    const bool read_only;
    std::unique_ptr<Registry> registry =
        std::move(Registry::open(directory.path() / "registry", io.blocking()).value());
    std::unique_ptr<RegistryServer> handler;
    std::unique_ptr<net::Server> server;
    std::unique_ptr<net::Client> client;

    explicit Site(bool read_only = false) : read_only(read_only) {
        serve();
        server = std::move(
            net::Server::bind({}, [this](net::Request& request) { return route(this, request); }).value());
        server->start();
        client = io.run(make_client(io.executor())).value();
    }
    ~Site() {
        (void)io.run(drop_client(&client));
        server->drain(std::chrono::seconds(1));
    }

    void serve() {
        handler = std::make_unique<RegistryServer>(
            *registry, [this](const net::Request& request) { return authorise(this, request); },
            RegistryServerOptions{
                .read_only = read_only,
                .realm =
                    [this](const net::Request&) { return policy.tokens ? base() + "/token" : std::string(); },
                .service = "test"});
    }
    /// As after a restart, with nothing under way.
    void reopen(RegistryOptions options) {
        handler.reset();
        registry.reset();
        registry = std::move(Registry::open(directory.path() / "registry", io.blocking(), options).value());
        serve();
    }

    std::string base() const { return "http://127.0.0.1:" + std::to_string(server->port()); }

    struct Answer {
        int status = 0;
        net::Headers headers;
        std::string body;
        std::string header(std::string_view name) const { return std::string(headers.get(name)); }
        std::string code() const { // of the first error
            const auto parsed = json::parse(body);
            return parsed && parsed->contains("errors")
                       ? parsed->at("errors").at(0).at("code").get<std::string>()
                       : "";
        }
    };
    using Fields = std::vector<std::pair<std::string, std::string>>;
    Answer send(net::Verb verb, std::string path, std::string body = {}, Fields fields = {}) {
        net::ClientRequest request{.verb = verb, .url = net::Url::parse(base() + path).value()};
        request.body = std::move(body);
        for (auto& [name, value] : fields) request.headers.set(name, value);
        auto answer = io.run(exchange(client.get(), std::move(request)));
        if (!answer) FAIL(to_string(answer.error()));
        return std::move(*answer);
    }
    Answer get(std::string path, Fields fields = {}) {
        return send(net::Verb::get, std::move(path), {}, std::move(fields));
    }
    Answer head(std::string path) { return send(net::Verb::head, std::move(path)); }

    std::unique_ptr<Repository> remote(std::string name, std::string password = {}) {
        return open_remote(*client,
                           {.registry = net::Url::parse(base()).value(),
                            .username = "owner",
                            .password = Secret<std::string>(std::move(password))},
                           std::move(name));
    }
    std::unique_ptr<Repository> local(std::string_view name) {
        return std::move(registry->repository(name).value());
    }
    std::unique_ptr<Repository> layout(std::string_view name) {
        return std::move(open_layout(directory.path() / name, io.blocking()).value());
    }

  private:
    static net::Async<Result<std::unique_ptr<net::Client>>> make_client(net::Executor executor) {
        co_return std::make_unique<net::Client>(executor);
    }
    static net::Async<Result<bool>> drop_client(std::unique_ptr<net::Client>* client) {
        client->reset();
        co_return true;
    }
    static net::Async<Result<Answer>> exchange(net::Client* client, net::ClientRequest request) {
        CONSIGN_CO_TRY(response, co_await client->send(std::move(request)));
        CONSIGN_CO_TRY(body, co_await net::read_all(*response.body, 64u << 20));
        co_return Answer{.status = response.status, .headers = response.headers, .body = std::move(body)};
    }
    static net::Async<Result<Grant>> authorise(Site* site, const net::Request& request) {
        if (site->policy.tokens && request.headers.get("Authorization") != "Bearer " + site->policy.token)
            co_return fail(Code::unauthenticated, "a token is needed");
        co_return site->policy.grant;
    }
    static net::Async<net::Response> route(Site* site, net::Request& request) {
        if (request.path != "/token") co_return co_await site->handler->handle(request);
        const auto count = ++site->policy.redeemed;
        if (request.headers.get("Authorization") != "Basic " + to_base64(as_bytes("owner:secret")) ||
            (site->policy.one_time && count > 1))
            co_return net::problem({Code::unauthenticated, "refused"});
        co_return net::Response::json(200, R"({"token":")" + site->policy.token + R"("})");
    }
};

inline Descriptor describe_blob(std::string_view text, std::string_view type = "application/octet-stream") {
    return {.media_type = std::string(type), .digest = Digest::sha256_of(text), .size = text.size()};
}
inline net::Async<Result<void>> push_text(Repository* repository, std::string text) {
    TextSource source(text);
    co_return co_await repository->push_blob(describe_blob(text), source);
}
inline net::Async<Result<std::string>> fetch_text(Repository* repository, Descriptor blob) {
    CONSIGN_CO_TRY(source, co_await repository->fetch_blob(std::move(blob)));
    co_return co_await net::read_all(*source, 64u << 20);
}
inline net::Async<Result<bool>> put(Repository* repository, ManifestBytes manifest, std::string tag) {
    CONSIGN_CO_CHECK(co_await repository->put_manifest(std::move(manifest), std::move(tag)));
    co_return true;
}

/// An artifact of one config and these layers, pushed to `repository`.
inline ManifestBytes push_artifact(net::IoThread& io, Repository& repository, std::vector<std::string> layers,
                                   std::string tag, std::optional<Descriptor> subject = std::nullopt) {
    std::vector<Descriptor> described;
    REQUIRE(io.run(push_text(&repository, "{}")));
    for (const auto& layer : layers) {
        REQUIRE(io.run(push_text(&repository, layer)));
        described.push_back(describe_blob(layer));
    }
    auto manifest = make_manifest("application/vnd.test", describe_blob("{}", media::kEmptyJson), described,
                                  {{"layers", std::to_string(layers.size())}}, subject);
    REQUIRE(io.run(put(&repository, manifest, std::move(tag))));
    return manifest;
}
inline ManifestBytes make_index(const std::vector<ManifestBytes>& children) {
    std::vector<Descriptor> described;
    for (const auto& child : children) described.push_back(child.descriptor);
    ManifestBytes out;
    out.body = json::dump(
        {{"schemaVersion", 2}, {"mediaType", media::kImageIndex}, {"manifests", json::encode(described)}});
    out.descriptor = describe_blob(out.body, media::kImageIndex);
    return out;
}

} // namespace consign::oci::testing
