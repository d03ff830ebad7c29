#include "server_impl.hpp"

namespace consign::oci {

namespace {

using Kind = RegistryPath::Kind;
using net::Verb;

} // namespace

RegistryServer::RegistryServer(Registry& registry, Authorise authorise, RegistryServerOptions options)
    : impl_(std::make_unique<Impl>(*registry.impl_, std::move(authorise), std::move(options))) {}
RegistryServer::~RegistryServer() = default;

net::Async<net::Response> RegistryServer::handle(net::Request& request) {
    auto response = co_await impl_->answer(request);
    response.headers.set("Docker-Distribution-Api-Version", "registry/2.0");
    co_return response;
}

net::Async<net::Response> RegistryServer::Impl::answer(net::Request& request) {
    auto admitted = co_await door.admit(request);
    if (!admitted) co_return std::move(admitted).error();
    Exchange exchange{
        .request = request, .path = std::move(admitted->path), .grant = std::move(admitted->grant)};
    co_return co_await dispatch(exchange);
}

net::Async<net::Response> RegistryServer::Impl::base(Exchange&) { co_return net::Response::json(200, "{}"); }

net::Async<net::Response> RegistryServer::Impl::dispatch(Exchange& exchange) {
    using Method = net::Async<net::Response> (Impl::*)(Exchange&);
    struct Route {
        Kind kind;
        Verb verb; ///< get: HEAD, too
        Method method;
    };
    // Allow names the verbs in this order.
    static constexpr Route kRoutes[] = {
        {Kind::base, Verb::get, &Impl::base},
        {Kind::catalog, Verb::get, &Impl::catalog},
        {Kind::tags, Verb::get, &Impl::tags},
        {Kind::referrers, Verb::get, &Impl::referrers},
        {Kind::blob, Verb::get, &Impl::get_blob},
        {Kind::blob, Verb::delete_, &Impl::delete_blob},
        {Kind::manifest, Verb::get, &Impl::get_manifest},
        {Kind::manifest, Verb::put, &Impl::put_manifest},
        {Kind::manifest, Verb::delete_, &Impl::delete_manifest},
        {Kind::uploads, Verb::post, &Impl::begin_upload},
        {Kind::upload, Verb::get, &Impl::upload_status},
        {Kind::upload, Verb::patch, &Impl::continue_upload},
        {Kind::upload, Verb::put, &Impl::continue_upload},
        {Kind::upload, Verb::delete_, &Impl::abandon_upload},
    };
    const auto verb = exchange.request.verb == Verb::head ? Verb::get : exchange.request.verb;
    std::string allow;
    for (const auto& route : kRoutes) {
        if (route.kind != exchange.path.kind || (options.read_only && route.verb != Verb::get)) continue;
        if (route.verb == verb) co_return co_await (this->*route.method)(exchange);
        if (!allow.empty()) allow += ", ";
        allow += route.verb == Verb::get ? "GET, HEAD" : net::name_of(route.verb);
    }
    auto response = error_response(
        Error{Code::unsupported,
              options.read_only ? "this registry is read-only"
                                : std::string(net::name_of(exchange.request.verb)) + " does not go with " +
                                      exchange.request.path.substr(0, 300)},
        Subject::name);
    response.headers.set("Allow", allow);
    co_return response;
}

net::Response RegistryServer::Impl::refuse(const Exchange& exchange, const Error& error,
                                           Subject subject) const {
    if (error.code == Code::unauthenticated) return door.challenge(exchange.request, exchange.path, error);
    return error_response(error, subject);
}

net::Async<Result<bool>> RegistryServer::Impl::may_see(Access access, std::string repository, Digest digest) {
    if (access.whole) co_return true;
    for (const auto& root : access.roots) {
        CONSIGN_CO_TRY(inside, co_await core.database->read([=](store::Connection& c) {
            return metadata::in_closure(c, repository, root, digest);
        }));
        if (inside) co_return true;
    }
    co_return false;
}

net::Response RegistryServer::Impl::denied(const Exchange& exchange, std::string_view action) const {
    const bool catalog = exchange.path.kind == Kind::catalog;
    const auto what = catalog ? "listing the repositories"
                              : std::string(action) + " on repository " + exchange.path.repository;
    if (const auto& more = exchange.grant.obtainable) {
        const auto wanted = action == "push"     ? Action::push
                            : action == "delete" ? Action::delete_
                                                 : Action::pull;
        if (catalog ? more->catalog : access_to(*more, exchange.path.repository, wanted).whole)
            return door.challenge(exchange.request, exchange.path,
                             Error{Code::unauthenticated, "the token does not allow " + what,
                                   "get one with the scope that WWW-Authenticate names"},
                             "insufficient_scope");
    }
    return error_response(Error{Code::permission_denied, "the credential does not allow " + what}, Subject::name);
}

std::string blob_location(const std::string& repository, const Digest& digest) {
    return "/v2/" + repository + "/blobs/" + digest.str();
}

} // namespace consign::oci
