#include "agent/credentials.hpp"
#include "consign/base/jwt.hpp"
#include "consign/base/random.hpp"
#include <algorithm>

namespace consign::agent {
namespace {

constexpr std::string_view kAssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
constexpr std::chrono::seconds kAssertionLife{60}; // the time of one request, with a slow network
constexpr std::chrono::seconds kRenewBefore{
    60}; // longer than any request that carries the token takes to arrive

std::string form(std::string_view assertion) {
    return "grant_type=client_credentials&client_assertion_type=" + net::percent_encode(kAssertionType) +
           "&client_assertion=" + net::percent_encode(assertion);
}

} // namespace

std::string make_assertion(const AgentId& agent, std::string_view audience, const PrivateKey& key, Time now) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
    return jwt::sign({{"iss", agent.str()},
                      {"sub", agent.str()},
                      {"aud", audience},
                      {"iat", seconds},
                      {"exp", seconds + kAssertionLife.count()},
                      {"jti", random_token("")}},
                     key);
}

Credentials::Credentials(net::Client& http, net::Url ims, const Identity& identity, PrivateKey key)
    : http_(http), url_(std::move(ims)), agent_(identity.agent), audience_(identity.ims),
      key_(std::move(key)) {
    url_.target += "/v1/token";
}

net::Async<Result<std::string>> Credentials::token() {
    if (!token_.empty() && std::chrono::steady_clock::now() < renew_at_) co_return token_.reveal();

    net::ClientRequest request{.verb = net::Verb::post, .url = url_};
    request.headers.set("Content-Type", "application/x-www-form-urlencoded");
    request.body = form(make_assertion(agent_, audience_, key_, clock_.now()));
    const auto asked_at = std::chrono::steady_clock::now();
    CONSIGN_CO_TRY(answer, co_await exchange(http_, std::move(request)));
    if (!answer.ok()) co_return std::unexpected(with_context(error_of(answer, url_), "no access token"));
    CONSIGN_CO_TRY(granted, json::decode_text<protocol::TokenResponse>(answer.body));

    // Half of a life that is shorter than the margin twice: a token of a minute is used for thirty seconds.
    const std::chrono::seconds life(std::max(granted.expires_in, 0));
    renew_at_ = asked_at + std::max(life - kRenewBefore, life / 2);
    token_ = Secret<std::string>(std::move(granted.access_token));
    co_return token_.reveal();
}

void Credentials::use(PrivateKey key) {
    key_ = std::move(key);
    token_ = {};
}

void Credentials::refuse(std::string_view token) {
    if (token_.reveal() == token) token_ = {};
}

} // namespace consign::agent
