#include "gateway.hpp"
#include "consign/oci/token_grant.hpp"
#include <algorithm>
#include <iterator>

namespace consign::ims {
namespace {

// Long enough for a push of several blobs; a client whose token runs out in between gets a new one by itself.
constexpr std::chrono::seconds kTokenTtl = std::chrono::minutes(10);
// Of a pull token's session: it cannot be renewed, so it lives as long as a slow link may need. It dies with
// the job anyway.
constexpr std::chrono::seconds kPullSessionTtl = std::chrono::hours(24);
constexpr std::string_view kService = "consign";
constexpr std::size_t kFormLimitBytes = 64 * 1024; // as much as the head of a GET may have
constexpr auto kFormDeadline = std::chrono::seconds(30);

net::Async<Result<oci::Grant>> authorise(Core& core, std::string authorization) {
    co_return co_await auth::authorise_registry(core, std::move(authorization));
}

/// Of the vendor's token key, so that uploads through us survive a restart.
Secret<std::string> upload_key(const Core& core) {
    return Secret<std::string>(sha256_hex("upload locations\n" + core.vendor.token_key.to_pem().reveal()));
}

} // namespace

Gateway::Gateway(Core& core)
    : core_(core),
      server_(*core.registry,
              [&core](const net::Request& request) {
                  return authorise(core, std::string(request.headers.get("Authorization")));
              },
              {.realm = [&core](const net::Request&) { return core.public_url + "/v2/token"; },
               .service = std::string(kService)}) {
    if (!core.external) return;
    proxy_.emplace(core.external->account(),
                   [&core](const net::Request& request) {
                       return authorise(core, std::string(request.headers.get("Authorization")));
                   },
                   oci::RegistryServerOptions{
                       .realm = [&core](const net::Request&) { return core.public_url + "/v2/token"; },
                       .service = std::string(kService)},
                   upload_key(core));
    core.proxy = &*proxy_;
}

/// What a request for a token says, by GET (distribution, "Token Authentication Specification") or by POST ("OAuth2
/// Token Authentication").
struct Gateway::TokenRequest {
    std::string secret;  ///< a consign token, sent as the password
    std::string refresh; ///< or a refresh token
    std::string service;
    std::vector<std::string> scopes;
    bool offline = false; ///< wants a refresh token, too
    bool oauth = false;

    static TokenRequest of(const net::Query& query, const net::Request& request) {
        TokenRequest out;
        out.service = query.get_or("service", "");
        for (const auto& [name, value] : query.items())
            if (name == "scope") out.scopes.push_back(value);
        out.offline = query.get_or("offline_token", "") == "true" || query.get_or("access_type", "") == "offline";
        out.oauth = !query.get_or("grant_type", "").empty();
        if (query.get_or("grant_type", "") == "refresh_token")
            out.refresh = query.get_or("refresh_token", "");
        else if (query.get_or("grant_type", "") == "password")
            out.secret = query.get_or("password", "");
        else if (const auto basic = auth::basic_credentials(request.headers.get("Authorization")))
            out.secret = basic->second;
        return out;
    }
};

net::Async<net::Response> Gateway::handle(net::Request& request) {
    ++core_.counters.requests;
    if (request.path != "/v2/token")
        co_return proxy_ ? co_await proxy_->handle(request) : co_await server_.handle(request);
    auto outcome = co_await token(request);
    if (!outcome) {
        auto refused = oci::registry_error(outcome.error());
        if (outcome.error().code == Code::unauthenticated)
            refused.headers.set("WWW-Authenticate", "Basic realm=\"consign\"");
        if (outcome.error().code == Code::unsupported) refused.headers.set("Allow", "GET, POST");
        outcome = std::move(refused);
    }
    outcome->headers.set("Cache-Control", "no-store");
    co_return std::move(*outcome);
}

net::Async<Result<net::Response>> Gateway::token(net::Request& request) {
    if (request.verb == net::Verb::get)
        co_return co_await issue(TokenRequest::of(request.query, request), request.remote);
    if (request.verb != net::Verb::post) co_return fail(Code::unsupported, "a token is asked for with GET or POST");
    request.parking->answer_within(kFormDeadline);
    CONSIGN_CO_TRY(text, co_await net::read_all(*request.body, kFormLimitBytes));
    const auto form = net::Query::parse(text);
    auto wanted = TokenRequest::of(form, request);
    const auto kind = form.get_or("grant_type", "");
    if (!kind.empty() && kind != "password" && kind != "refresh_token")
        co_return fail(Code::invalid_argument,
                       "grant_type '" + std::string(kind.substr(0, 40)) + "' is not supported",
                       "use password or refresh_token");
    if (!wanted.oauth) { // Basic, and the rest where GET has it
        auto query = TokenRequest::of(request.query, request);
        if (wanted.service.empty()) wanted.service = std::move(query.service);
        std::ranges::move(query.scopes, std::back_inserter(wanted.scopes));
    }
    co_return co_await issue(std::move(wanted), request.remote);
}

net::Async<Result<net::Response>> Gateway::issue(TokenRequest wanted, std::string remote) {
    if (wanted.secret.empty() && wanted.refresh.empty())
        co_return fail(Code::unauthenticated, "a user name and a consign token as the password are needed");
    if (!wanted.service.empty() && wanted.service != kService)
        co_return fail(Code::invalid_argument,
                       "this is the token service of '" + std::string(kService) + "', not of '" +
                           wanted.service.substr(0, 100) + "'",
                       "take realm and service from the same WWW-Authenticate field");

    oci::Grant grant;
    auth::RegistryHolder holder;
    std::optional<std::string> refresh;
    auto ttl = kTokenTtl;
    if (wanted.secret.starts_with(auth::kPullTokenPrefix)) {
        // Whatever the scope: there is one thing that it is for, and no second chance to ask for it.
        CONSIGN_CO_TRY(session, co_await auth::redeem_pull_token(core_, wanted.secret, remote));
        grant.scopes = {{session.artifact.repository, {oci::Action::pull}, session.artifact.digest}};
        ttl = kPullSessionTtl;
        holder.pull = session.id;
    } else {
        CONSIGN_CO_TRY(caller, wanted.refresh.empty() ? auth::authenticate_token(core_, wanted.secret)
                                                      : auth::authenticate_refresh_token(core_, wanted.refresh));
        grant = oci::narrow(auth::grant_of(caller), wanted.scopes);
        holder = auth::registry_holder(caller);
        if (wanted.offline) refresh = auth::sign_refresh_token(core_, caller);
    }
    const auto token = auth::sign_registry_token(core_, grant, holder, ttl);
    json::Value body{{"token", token},
                     {"access_token", token},
                     {"expires_in", ttl.count()},
                     {"issued_at", to_rfc3339(core_.clock.now())}};
    if (wanted.oauth) body["scope"] = oci::to_scope(grant);
    if (refresh) body["refresh_token"] = *refresh;
    co_return net::Response::json(200, json::dump(body));
}

} // namespace consign::ims
