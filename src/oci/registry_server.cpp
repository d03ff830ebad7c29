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
            Error{Code::not_found, "no registry endpoint has the path " + request.path.substr(0, 300)},
            Subject::name);
    const bool named = path->kind != Kind::base && path->kind != Kind::catalog;
    if (named && !is_repository_name(path->repository))
        co_return error_response(Error{Code::invalid_argument,
                                       "'" + path->repository.substr(0, 300) + "' is not a repository name"},
                                 Subject::name);
    Exchange exchange{.request = request, .path = *path, .grant = std::move(*grant)};
    co_return co_await dispatch(exchange);
}

net::Async<net::Response> RegistryServer::Impl::dispatch(Exchange& exchange) {
    const auto verb = exchange.request.verb;
    const auto kind = exchange.path.kind;
    const bool reads = verb == Verb::get || verb == Verb::head;
    const auto is = [&](Kind k, Verb v) { return kind == k && verb == v; };
    if (options.read_only && !reads)
        co_return error_response(Error{Code::unsupported, "this registry is read-only"}, Subject::name);
    if (kind == Kind::base && reads) co_return net::Response::json(200, "{}");

    net::Async<net::Response> (Impl::*method)(Exchange&) = nullptr;
    if (kind == Kind::blob && reads)
        method = &Impl::get_blob;
    else if (is(Kind::blob, Verb::delete_))
        method = &Impl::delete_blob;
    else if (kind == Kind::manifest && reads)
        method = &Impl::get_manifest;
    else if (is(Kind::manifest, Verb::put))
        method = &Impl::put_manifest;
    else if (is(Kind::manifest, Verb::delete_))
        method = &Impl::delete_manifest;
    else if (is(Kind::uploads, Verb::post))
        method = &Impl::begin_upload;
    else if (is(Kind::upload, Verb::get))
        method = &Impl::upload_status;
    else if (is(Kind::upload, Verb::patch) || is(Kind::upload, Verb::put))
        method = &Impl::continue_upload;
    else if (is(Kind::upload, Verb::delete_))
        method = &Impl::abandon_upload;
    else if (is(Kind::tags, Verb::get))
        method = &Impl::tags;
    else if (is(Kind::referrers, Verb::get))
        method = &Impl::referrers;
    else if (is(Kind::catalog, Verb::get))
        method = &Impl::catalog;
    if (!method)
        co_return error_response(Error{Code::unsupported, std::string(net::name_of(verb)) +
                                                              " does not go with " +
                                                              exchange.request.path.substr(0, 300)},
                                 Subject::name);
    co_return co_await (this->*method)(exchange);
}

net::Response RegistryServer::Impl::challenge(const net::Request& request,
                                              const std::optional<RegistryPath>& path,
                                              const Error& error) const {
    auto response = error_response(error, Subject::name);
    const auto realm = options.realm ? options.realm(request) : std::string();
    std::string field = "Basic realm=\"consign\"";
    if (!realm.empty()) {
        field = "Bearer realm=" + quoted_string(realm) + ",service=" + quoted_string(options.service);
        const bool nameable = path && (path->repository.empty() || is_repository_name(path->repository));
        if (const auto scope = nameable ? scope_for(*path, request.verb) : ""; !scope.empty())
            field += ",scope=" + quoted_string(scope);
    }
    response.headers.set("WWW-Authenticate", field);
    return response;
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

net::Response denied(const Exchange& exchange, std::string_view action) {
    return error_response(Error{Code::permission_denied, "the credential does not allow " +
                                                             std::string(action) + " on repository " +
                                                             exchange.path.repository},
                          Subject::name);
}

std::string blob_location(const std::string& repository, const Digest& digest) {
    return "/v2/" + repository + "/blobs/" + digest.str();
}

} // namespace consign::oci
