#include "upstream.hpp"
#include "consign/base/digest.hpp"
#include "consign/base/log.hpp"
#include <boost/asio/this_coro.hpp>

namespace consign::oci {

namespace {

// Logins change (ECR's every 12 hours); an old one's connections are dropped with it.
constexpr std::size_t kClientsLimit = 64;
// Who asks us waits meanwhile, and repeats by itself.
constexpr Retry kRetry{.attempts = 3, .base = std::chrono::milliseconds(200), .cap = std::chrono::seconds(2)};

/// What one upstream has on one thread. Its http client must end before the thread's io_context: that is what
/// a service is for.
struct Line {
    Line(net::Executor executor, const AccountOptions& options)
        : http(executor, {.ca_file = options.ca_file}), elsewhere(executor) {}
    net::Client http, elsewhere;
    std::map<std::string, std::shared_ptr<RegistryClient>> clients; // by a hash of the login
};

class Lines final : public net::asio::io_context::service {
  public:
    using key_type = Lines;
    static inline net::asio::io_context::id id;
    explicit Lines(net::asio::io_context& context) : net::asio::io_context::service(context) {}

    std::map<std::uint64_t, std::shared_ptr<Line>> lines;

  private:
    // Each client holds its line.
    void shutdown() noexcept override {
        for (auto& [owner, line] : lines) line->clients.clear();
        lines.clear();
    }
};

} // namespace

net::Async<Result<std::shared_ptr<RegistryClient>>> Upstream::client(std::string repository) const {
    auto found = co_await account_.login(repository);
    if (!found) co_return our_trouble(std::move(found).error());
    auto& login = *found;
    const net::Executor executor = co_await net::asio::this_coro::executor;
    auto& line = net::asio::use_service<Lines>(executor.context()).lines[id_];
    if (!line) line = std::make_shared<Line>(executor, account_.options());
    const auto key =
        sha256_hex(login.username + "\n" + login.password.reveal() + "\n" + login.identity_token.reveal());
    if (const auto kept = line->clients.find(key); kept != line->clients.end()) co_return kept->second;
    if (line->clients.size() >= kClientsLimit) line->clients.clear();
    auto options = remote_options(account_, std::move(login));
    options.retry = kRetry;
    if (!account_.options().ca_file.empty()) options.elsewhere = &line->elsewhere;
    // The client keeps its line, and with it its connections.
    struct Held {
        std::shared_ptr<Line> line;
        RegistryClient client;
        Held(std::shared_ptr<Line> with, RemoteOptions options)
            : line(with), client(with->http, std::move(options)) {}
    };
    auto held = std::make_shared<Held>(line, std::move(options));
    std::shared_ptr<RegistryClient> made(held, &held->client);
    line->clients[key] = made;
    co_return made;
}

std::unexpected<Error> Upstream::our_trouble(Error error) const {
    if (error.code == Code::unauthenticated || error.code == Code::permission_denied) {
        log::error("the registry behind this one refuses us",
                   {{"registry", account_.describe()}, {"error", to_string(error)}});
        error = {Code::unavailable, "the registry behind this one refuses our own login: " + error.message,
                 "tell whoever runs this server"};
    }
    return std::unexpected(std::move(error));
}

net::Async<Result<void>> Upstream::prepare(std::string repository, bool anew) const {
    auto prepared = co_await account_.prepare(std::move(repository), anew);
    if (!prepared) co_return our_trouble(std::move(prepared).error());
    co_return Result<void>{};
}

net::ClientRequest Upstream::request(net::Verb verb, std::string target) const {
    net::ClientRequest out{.verb = verb, .url = account_.url()};
    out.url.target = std::move(target);
    return out;
}

net::Async<Result<net::ClientResponse>> Upstream::send(net::ClientRequest request, std::string repository,
                                                       std::string scope) const {
    CONSIGN_CO_TRY(registry, co_await client(std::move(repository)));
    const auto held = registry;
    auto response = co_await held->send(std::move(request), std::move(scope));
    if (!response) co_return our_trouble(std::move(response).error());
    co_return std::move(*response);
}

net::Async<Result<net::ClientResponse>> Upstream::push(net::ClientRequest request, std::string repository,
                                                       std::string scope) const {
    CONSIGN_CO_CHECK(co_await prepare(repository));
    CONSIGN_CO_TRY(first, co_await send(request, repository, scope));
    if (first.status != 404) co_return std::move(first);
    first.body.reset();
    CONSIGN_CO_CHECK(co_await prepare(repository, true));
    co_return co_await send(std::move(request), std::move(repository), std::move(scope));
}

net::Async<Result<net::ClientResponse>> Upstream::send_once(net::ClientRequest request,
                                                            std::string repository, std::string scope) const {
    CONSIGN_CO_TRY(registry, co_await client(std::move(repository)));
    const auto held = registry;
    if (request.url.origin() == account_.url().origin()) {
        auto checked = co_await held->send(this->request(net::Verb::get, "/v2/"), scope);
        if (!checked) co_return our_trouble(std::move(checked).error());
        co_await held->drop(*checked);
    }
    auto response = co_await held->send(std::move(request), std::move(scope));
    if (!response) co_return our_trouble(std::move(response).error());
    co_return std::move(*response);
}

} // namespace consign::oci
