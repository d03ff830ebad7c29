#include "registry_client.hpp"
#include "errors.hpp"
#include <algorithm>
#include <charconv>
#include <ctime>
#include <locale>
#include <sstream>

namespace consign::oci {

namespace {

using net::Async;
using net::ClientRequest;
using net::ClientResponse;
using net::Verb;

constexpr std::size_t kErrorBodyLimit = 256 * 1024;
constexpr int kRedirects = 5;
constexpr auto kLongestPause = std::chrono::minutes(2);
// A registry that never answered is more likely misspelt than restarting.
constexpr int kFirstAttempts = 2;

bool is_redirect(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

std::string challenge_of(const ClientResponse& response) {
    std::string out;
    for (const auto field : response.headers.all("WWW-Authenticate"))
        out += (out.empty() ? "" : ", ") + std::string(field);
    return out;
}

} // namespace

std::optional<std::chrono::milliseconds> retry_after(const net::Headers& headers, Time now) {
    const std::string text(headers.get("Retry-After"));
    if (text.empty()) return std::nullopt;
    std::int64_t seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error == std::errc() && end == text.data() + text.size())
        return std::chrono::seconds(std::clamp<std::int64_t>(seconds, 0, 24 * 3600));
    std::tm date{};
    std::istringstream in(text);
    in.imbue(std::locale::classic());
    in >> std::get_time(&date, "%a, %d %b %Y %H:%M:%S GMT");
    if (in.fail()) return std::nullopt;
    const auto until = Time(std::chrono::seconds(::timegm(&date)));
    return std::max(std::chrono::duration_cast<std::chrono::milliseconds>(until - now),
                    std::chrono::milliseconds(0));
}

bool is_passing(int status) {
    return status == 408 || status == 425 || status == 429 || status == 500 || status == 502 ||
           status == 503 || status == 504;
}

Async<bool> Attempts::another(std::optional<std::chrono::milliseconds> at_least) {
    if (left_-- <= 0) co_return false;
    auto pause = backoff_.next();
    if (at_least) {
        if (*at_least > kLongestPause) co_return false; // whoever waits would rather know now
        pause = std::max(pause, *at_least);
    }
    co_await net::sleep_for(pause);
    co_return !co_await net::cancelled();
}

RegistryClient::RegistryClient(net::Client& client, RemoteOptions options)
    : client_(client), options_(std::move(options)),
      auth_(
          options_,
          [this](ClientRequest request, bool repeatable) {
              return send_repeating(std::move(request), repeatable);
          },
          client.executor()) {}

ClientRequest RegistryClient::request(Verb verb, std::string target) const {
    ClientRequest out{.verb = verb, .url = options_.registry};
    out.url.target = std::move(target);
    return out;
}

net::Client& RegistryClient::client_for(const net::Url& url) const {
    return options_.elsewhere && url.origin() != options_.registry.origin() ? *options_.elsewhere : client_;
}

// Redirects are followed here and not by the client, since the next host may need another one (its own CA).
Async<Result<ClientResponse>> RegistryClient::exchange(ClientRequest request) {
    const bool follow = request.verb == Verb::get || request.verb == Verb::head;
    for (int left = kRedirects;; --left) {
        auto copy = request;
        copy.max_redirects = 0;
        CONSIGN_CO_TRY(response, co_await client_for(request.url).send(std::move(copy)));
        const auto location = std::string(response.headers.get("Location"));
        if (!follow || !is_redirect(response.status) || location.empty()) co_return std::move(response);
        if (left == 0)
            co_return fail(Code::unavailable,
                           options_.registry.origin() + " sends us from one URL to the next");
        CONSIGN_CO_TRY(next, request.url.resolve(location));
        if (request.url.tls() && !next.tls())
            co_return fail(Code::unavailable,
                           request.url.origin() + " sends us on to " + next.origin() + ", without TLS");
        co_await drop(response);
        if (next.origin() != request.url.origin()) {
            net::Headers
                kept; // a signed URL wants to be asked without a credential, and nobody else gets ours
            for (const char* name : {"Accept", "Range"})
                if (const auto value = request.headers.get(name); !value.empty())
                    kept.set(name, std::string(value));
            request.headers = std::move(kept);
        }
        request.url = std::move(next);
    }
}

Async<Result<ClientResponse>> RegistryClient::send_repeating(ClientRequest request, bool repeatable) {
    Attempts attempts(options_.retry);
    if (!answered_) attempts.limit(kFirstAttempts);
    for (;;) {
        auto response = co_await exchange(request);
        if (response) {
            if (!answered_) attempts = Attempts(options_.retry);
            answered_ = true;
            if (!repeatable || !is_passing(response->status)) co_return response;
            if (!co_await attempts.another(retry_after(response->headers, SystemClock().now())))
                co_return response;
            co_await drop(*response);
            continue;
        }
        const auto code = response.error().code;
        if (!repeatable || (code != Code::unavailable && code != Code::timed_out) ||
            !co_await attempts.another())
            co_return response;
    }
}

Async<Result<ClientResponse>> RegistryClient::send(ClientRequest request, std::string scope) {
    // An upload's Location may be elsewhere (a storage service with a signed URL): our credential is not for
    // it.
    const bool ours = request.url.origin() == options_.registry.origin();
    const bool repeatable = !std::holds_alternative<net::StreamBody>(request.body);
    for (int attempt = 0;; ++attempt) {
        auto sent = ours ? auth_.header(scope) : std::string();
        auto copy = request;
        if (!sent.empty()) copy.headers.set("Authorization", sent);
        CONSIGN_CO_TRY(response, co_await send_repeating(std::move(copy), repeatable));
        if (response.status != 401 || !ours || !repeatable || attempt > 0) co_return std::move(response);
        auto challenge = challenge_of(response);
        auto refused = co_await error_of(response);
        if (challenge.empty()) co_return std::unexpected(std::move(refused));
        CONSIGN_CO_CHECK(co_await auth_.renew(std::move(challenge), scope, std::move(sent)));
    }
}

Async<Result<void>> RegistryClient::renew(const ClientResponse& response, std::string scope) {
    const auto sent = auth_.header(scope);
    return auth_.renew(challenge_of(response), std::move(scope), sent);
}

Async<Error> RegistryClient::error_of(ClientResponse& response) const {
    std::string text;
    if (response.body)
        if (auto body = co_await net::read_all(*response.body, kErrorBodyLimit)) text = std::move(*body);
    co_return error_from_registry(response.status, response.headers.get("Content-Type"), text,
                                  options_.registry.host_header());
}

Async<void> RegistryClient::drop(ClientResponse& response) const {
    if (response.body) (void)co_await net::read_all(*response.body, kErrorBodyLimit);
    response.body.reset();
}

} // namespace consign::oci
