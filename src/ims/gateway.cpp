#include "gateway.hpp"
#include <format>

namespace consign::ims {
namespace {

// Long enough for a push of several blobs; a client whose token runs out in between gets a new one by itself.
constexpr std::chrono::seconds kTokenTtl = std::chrono::minutes(10);
// Of a pull token's session: it cannot be renewed, so it lives as long as a slow link may need. It dies with
// the job anyway.
constexpr std::chrono::seconds kPullSessionTtl = std::chrono::hours(24);

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
              {.realm = [&core](const net::Request&) { return core.public_url + "/v2/token"; }}) {
    if (!core.external) return;
    proxy_.emplace(core.external->account(),
                   [&core](const net::Request& request) {
                       return authorise(core, std::string(request.headers.get("Authorization")));
                   },
                   oci::RegistryServerOptions{
                       .realm = [&core](const net::Request&) { return core.public_url + "/v2/token"; }},
                   upload_key(core));
    core.proxy = &*proxy_;
}

net::Async<net::Response> Gateway::handle(net::Request& request) {
    ++core_.counters.requests;
    if (request.path != "/v2/token")
        co_return proxy_ ? co_await proxy_->handle(request) : co_await server_.handle(request);
    auto outcome = co_await token(request);
    if (outcome) co_return std::move(*outcome);
    auto response = net::problem(outcome.error());
    if (outcome.error().code == Code::unauthenticated)
        response.headers.set("WWW-Authenticate", "Basic realm=\"consign\"");
    co_return response;
}

/// docker's token endpoint: Basic with any consign token as the password. The answer carries what the caller
/// may do, whatever the scope asked for; the registry checks it per repository.
net::Async<Result<net::Response>> Gateway::token(net::Request& request) {
    if (request.verb != net::Verb::get && request.verb != net::Verb::post)
        co_return fail(Code::invalid_argument, "GET or POST");
    const auto credentials = auth::basic_credentials(request.headers.get("Authorization"));
    if (!credentials)
        co_return fail(Code::unauthenticated, "a user name and a consign token as the password are needed");
    const auto& secret = credentials->second;

    std::string token;
    std::chrono::seconds ttl = kTokenTtl;
    if (secret.starts_with(auth::kPullTokenPrefix)) {
        CONSIGN_CO_TRY(session, co_await auth::redeem_pull_token(core_, secret, request.remote));
        const oci::Grant grant{{{session.artifact.repository, {oci::Action::pull}, session.artifact.digest}}};
        ttl = kPullSessionTtl;
        token = auth::sign_registry_token(core_, grant, {.pull = session.id}, ttl);
    } else {
        CONSIGN_CO_TRY(caller, auth::authenticate_token(core_, secret));
        token = auth::sign_registry_token(core_, auth::grant_of(caller), auth::registry_holder(caller), ttl);
    }
    const json::Value body{{"token", token},
                           {"access_token", token},
                           {"expires_in", ttl.count()},
                           {"issued_at", to_rfc3339(core_.clock.now())}};
    co_return net::Response::json(200, json::dump(body));
}

} // namespace consign::ims
