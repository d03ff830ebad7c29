#include "server_impl.hpp"

namespace consign::oci {

namespace {

using Kind = RegistryPath::Kind;
using net::Verb;

std::string scope_for(const RegistryPath& path, Verb verb) {
    if (path.kind == Kind::base) return {};
    if (path.kind == Kind::catalog) return "registry:catalog:*";
    const bool upload = path.kind == Kind::uploads || path.kind == Kind::upload;
    if (verb == Verb::delete_ && !upload) return "repository:" + path.repository + ":delete";
    const bool writes = upload || (verb != Verb::get && verb != Verb::head);
    return "repository:" + path.repository + (writes ? ":pull,push" : ":pull");
}

std::string quoted_string(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) out += c;
    }
    return out + '"';
}

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
    const auto path = RegistryPath::parse(request.path);
    auto grant = co_await authorise(request);
    if (!grant && grant.error().code == Code::unauthenticated)
        co_return challenge(request, path, grant.error());
    if (!grant) co_return error_response(grant.error(), Subject::name);
    if (!path)
        co_return error_response(
            404, "UNSUPPORTED",
            Error{Code::not_found, "no registry endpoint has the path " + request.path.substr(0, 300)});
    const bool named = path->kind != Kind::base && path->kind != Kind::catalog;
    if (named && !is_repository_name(path->repository))
        co_return error_response(Error{Code::invalid_argument,
                                       "'" + path->repository.substr(0, 300) + "' is not a repository name"},
                                 Subject::name);
    Exchange exchange{.request = request, .path = *path, .grant = std::move(*grant)};
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

net::Response RegistryServer::Impl::challenge(const net::Request& request,
                                              const std::optional<RegistryPath>& path,
                                              const Error& error, std::string_view reason) const {
    auto response = error_response(error, Subject::name);
    const auto realm = options.realm ? options.realm(request) : std::string();
    std::string field = "Basic realm=\"consign\"";
    if (!realm.empty()) {
        field = "Bearer realm=" + quoted_string(realm) + ",service=" + quoted_string(options.service);
        const bool nameable = path && (path->repository.empty() || is_repository_name(path->repository));
        if (const auto scope = nameable ? scope_for(*path, request.verb) : ""; !scope.empty())
            field += ",scope=" + quoted_string(scope);
        if (!reason.empty()) field += ",error=" + quoted_string(reason); // RFC 6750 section 3.1
    }
    response.headers.set("WWW-Authenticate", field);
    return response;
}

net::Async<Result<void>> RegistryServer::Impl::recheck(const Exchange& exchange) const {
    if (!exchange.grant.recheck) co_return Result<void>{};
    co_return co_await exchange.grant.recheck();
}

net::Response RegistryServer::Impl::refuse(const Exchange& exchange, const Error& error,
                                           Subject subject) const {
    if (error.code == Code::unauthenticated) return challenge(exchange.request, exchange.path, error);
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
            return challenge(exchange.request, exchange.path,
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
