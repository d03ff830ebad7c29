#include "remote_auth.hpp"
#include "errors.hpp"
#include <algorithm>
#include <boost/asio/as_tuple.hpp>

namespace consign::oci {

namespace {

constexpr std::size_t kTokenAnswerLimit = 256 * 1024;

std::string parameter(const Challenge& challenge, const char* name) {
    const auto found = challenge.parameters.find(name);
    return found == challenge.parameters.end() ? std::string() : found->second;
}

std::vector<std::string> words_of(std::string_view scope) {
    std::vector<std::string> out;
    while (!scope.empty()) {
        const auto end = std::min(scope.find(' '), scope.size());
        if (end > 0) out.emplace_back(scope.substr(0, end));
        scope.remove_prefix(std::min(end + 1, scope.size()));
    }
    return out;
}

} // namespace

RemoteAuth::RemoteAuth(const RemoteOptions& options, Send send, net::Executor executor)
    : options_(options), send_(std::move(send)), idle_(executor, net::SteadyTime::max()) {}

std::string RemoteAuth::header(const std::string& scope) const {
    const auto found = headers_.find(scope);
    return found == headers_.end() ? std::string() : found->second;
}

std::string RemoteAuth::basic() const {
    if (options_.password.empty()) return {};
    return "Basic " + to_base64(as_bytes(options_.username + ":" + options_.password.reveal()));
}

net::Async<Result<void>> RemoteAuth::renew(std::string challenge, std::string scope, std::string refused) {
    while (busy_) {
        co_await idle_.async_wait(net::asio::as_tuple(net::use_async));
        if (busy_ && co_await net::cancelled())
            co_return fail(Code::cancelled, "cancelled while waiting for a token");
    }
    if (header(scope) != refused) co_return Result<void>{}; // somebody else has got it meanwhile
    struct Busy {
        RemoteAuth& auth;
        explicit Busy(RemoteAuth& a) : auth(a) { auth.busy_ = true; }
        ~Busy() {
            auth.busy_ = false;
            auth.idle_.cancel();
        }
    } const busy(*this);
    CONSIGN_CO_TRY(value, co_await answer(std::move(challenge), scope, std::move(refused)));
    headers_[scope] = std::move(value);
    co_return Result<void>{};
}

net::Async<Result<std::string>> RemoteAuth::answer(std::string challenge, std::string scope,
                                                   std::string refused) {
    const auto challenges = parse_challenges(challenge);
    const auto find = [&](std::string_view scheme) {
        return std::ranges::find(challenges, scheme, &Challenge::scheme);
    };
    if (const auto bearer = find("bearer"); bearer != challenges.end())
        co_return co_await fetch_token(*bearer, std::move(scope));
    if (find("basic") == challenges.end())
        co_return fail(Code::unauthenticated, options_.registry.origin() +
                                                  " asks for a kind of credential that we do not have: '" +
                                                  challenge.substr(0, 200) + "'");
    auto value = basic();
    if (value.empty())
        co_return fail(Code::unauthenticated,
                       options_.registry.origin() + " wants a user name and a password",
                       "give them for this registry");
    if (value == refused)
        co_return fail(Code::unauthenticated,
                       options_.registry.origin() + " refused the user name or the password", "check both");
    co_return value;
}

Result<net::Url> RemoteAuth::realm_of(const Challenge& bearer) const {
    CONSIGN_TRY(url, options_.registry.resolve(parameter(bearer, "realm")));
    // A credential that was given for TLS does not go out in the clear because an answer says so.
    if (options_.registry.tls() && !url.tls() &&
        !(options_.password.empty() && options_.identity_token.empty()))
        return fail(Code::unauthenticated, options_.registry.origin() + " sends us for a token to " +
                                               url.origin() + ", without TLS");
    return std::move(url);
}

net::ClientRequest RemoteAuth::by_get(net::Url url, const std::string& service,
                                      const std::string& scope) const {
    const auto add = [&](const char* name, const std::string& value) {
        url.target +=
            (url.target.contains('?') ? "&" : "?") + std::string(name) + "=" + net::percent_encode(value);
    };
    if (!service.empty()) add("service", service);
    for (const auto& one : words_of(scope)) add("scope", one);
    net::ClientRequest request{.verb = net::Verb::get, .url = std::move(url)};
    if (auto value = basic(); !value.empty()) request.headers.set("Authorization", std::move(value));
    return request;
}

net::ClientRequest RemoteAuth::by_post(net::Url url, const std::string& service,
                                       const std::string& scope) const {
    std::string form = "client_id=consign";
    const auto add = [&](const char* name, const std::string& value) {
        form += "&" + std::string(name) + "=" + net::percent_encode(value);
    };
    if (!options_.identity_token.empty()) {
        add("grant_type", "refresh_token");
        add("refresh_token", options_.identity_token.reveal());
    } else {
        add("grant_type", "password");
        add("username", options_.username);
        add("password", options_.password.reveal());
    }
    if (!service.empty()) add("service", service);
    if (!scope.empty()) add("scope", scope);
    net::ClientRequest request{.verb = net::Verb::post, .url = std::move(url)};
    request.headers.set("Content-Type", "application/x-www-form-urlencoded");
    request.body = std::move(form);
    return request;
}

// distribution: "Token Authentication Specification" (GET) and "Token Authentication with OAuth 2" (POST). A
// refresh token can only be posted. A password goes by GET, which every service has but those that answer 404
// or 405 to it.
net::Async<Result<std::string>> RemoteAuth::fetch_token(Challenge bearer, std::string scope) {
    CONSIGN_CO_TRY(url, realm_of(bearer));
    const auto service = parameter(bearer, "service");
    const auto who = url.origin();
    const bool repeatable = !options_.one_time_password;
    const bool refresh = !options_.identity_token.empty();
    auto request = refresh ? by_post(url, service, scope) : by_get(url, service, scope);
    request.headers.set("Accept", "application/json");
    CONSIGN_CO_TRY(response, co_await send_(std::move(request), repeatable));
    if (!refresh && !options_.password.empty() && (response.status == 404 || response.status == 405)) {
        (void)co_await net::read_all(*response.body, kTokenAnswerLimit);
        auto post = by_post(url, service, scope);
        post.headers.set("Accept", "application/json");
        CONSIGN_CO_TRY(second, co_await send_(std::move(post), repeatable));
        response = std::move(second);
    }
    CONSIGN_CO_TRY(text, co_await net::read_all(*response.body, kTokenAnswerLimit));
    if (!response.ok()) {
        auto error = error_from_registry(response.status, response.headers.get("Content-Type"), text, who);
        // OAuth2 says 400 for a credential that is not good (RFC 6749 section 5.2).
        if (response.status == 400 && text.contains("invalid_grant")) error.code = Code::unauthenticated;
        co_return std::unexpected(std::move(error));
    }
    const auto parsed = json::parse(text);
    if (parsed && parsed->is_object())
        for (const char* key : {"token", "access_token"})
            if (const auto found = parsed->find(key);
                found != parsed->end() && found->is_string() && !found->get_ref<const std::string&>().empty())
                co_return "Bearer " + found->get<std::string>();
    co_return fail(Code::unauthenticated, who + " answered the request for a token without one");
}

} // namespace consign::oci
