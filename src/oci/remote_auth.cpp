#include "remote_auth.hpp"
#include "errors.hpp"
#include <algorithm>
#include <boost/asio/as_tuple.hpp>

namespace consign::oci {

namespace {
constexpr std::size_t kTokenAnswerLimit = 256 * 1024;
}

RemoteAuth::RemoteAuth(net::Client& client, RemoteOptions options, std::string repository)
    : client_(client), options_(std::move(options)), repository_(std::move(repository)),
      idle_(client.executor(), net::SteadyTime::max()) {}

std::string RemoteAuth::basic() const {
    if (options_.password.empty()) return {};
    return "Basic " + to_base64(as_bytes(options_.username + ":" + options_.password.reveal()));
}

net::Async<Result<void>> RemoteAuth::renew(std::string challenge, bool push, std::string refused) {
    while (busy_) {
        co_await idle_.async_wait(net::asio::as_tuple(net::use_async));
        if (busy_ && co_await net::cancelled())
            co_return fail(Code::cancelled, "cancelled while waiting for a token");
    }
    if (header(push) != refused) co_return Result<void>{}; // somebody else has got it meanwhile
    struct Busy {
        RemoteAuth& auth;
        explicit Busy(RemoteAuth& a) : auth(a) { auth.busy_ = true; }
        ~Busy() {
            auth.busy_ = false;
            auth.idle_.cancel();
        }
    } const busy(*this);
    CONSIGN_CO_TRY(value, co_await answer(std::move(challenge), push, std::move(refused)));
    (push ? push_ : pull_) = std::move(value);
    co_return Result<void>{};
}

net::Async<Result<std::string>> RemoteAuth::answer(std::string challenge, bool push, std::string refused) {
    const auto challenges = parse_challenges(challenge);
    const auto find = [&](std::string_view scheme) {
        return std::ranges::find(challenges, scheme, &Challenge::scheme);
    };
    if (const auto bearer = find("bearer"); bearer != challenges.end())
        co_return co_await fetch_token(*bearer, push);
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

Result<net::Url> RemoteAuth::token_url(const Challenge& bearer, bool push) const {
    const auto parameter = [&](const char* name) {
        const auto found = bearer.parameters.find(name);
        return found == bearer.parameters.end() ? std::string() : found->second;
    };
    CONSIGN_TRY(url, net::Url::parse(parameter("realm")));
    // A credential that was given for TLS does not go out in the clear because an answer says so.
    if (options_.registry.tls() && !url.tls() && !options_.password.empty())
        return fail(Code::unauthenticated, options_.registry.origin() + " sends us for a token to " +
                                               url.origin() + ", without TLS");
    url.target += url.target.contains('?') ? '&' : '?';
    if (const auto service = parameter("service"); !service.empty())
        url.target += "service=" + net::percent_encode(service) + "&";
    url.target +=
        "scope=" + net::percent_encode("repository:" + repository_ + (push ? ":pull,push" : ":pull"));
    return url;
}

net::Async<Result<std::string>> RemoteAuth::fetch_token(Challenge bearer, bool push) {
    CONSIGN_CO_TRY(url, token_url(bearer, push));
    net::ClientRequest request{.verb = net::Verb::get, .url = url};
    request.headers.set("Accept", "application/json");
    if (auto value = basic(); !value.empty()) request.headers.set("Authorization", std::move(value));
    const auto who = url.origin();
    CONSIGN_CO_TRY(response, co_await client_.send(std::move(request)));
    CONSIGN_CO_TRY(text, co_await net::read_all(*response.body, kTokenAnswerLimit));
    if (!response.ok())
        co_return std::unexpected(
            error_from_registry(response.status, response.headers.get("Content-Type"), text, who));
    const auto parsed = json::parse(text);
    if (parsed && parsed->is_object())
        for (const char* key : {"token", "access_token"})
            if (const auto found = parsed->find(key);
                found != parsed->end() && found->is_string() && !found->empty())
                co_return "Bearer " + found->get<std::string>();
    co_return fail(Code::unauthenticated, who + " answered the request for a token without one");
}

} // namespace consign::oci
