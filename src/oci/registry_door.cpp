#include "registry_door.hpp"
#include "challenge.hpp"
#include "consign/oci/reference.hpp"
#include "errors.hpp"

namespace consign::oci {

using Kind = RegistryPath::Kind;
using net::Verb;

std::string scope_of(const RegistryPath& path, Verb verb, const std::string& name) {
    if (path.kind == Kind::base) return {};
    if (path.kind == Kind::catalog) return "registry:catalog:*";
    const bool upload = path.kind == Kind::uploads || path.kind == Kind::upload;
    if (verb == Verb::delete_ && !upload) return "repository:" + name + ":delete";
    const bool writes = upload || (verb != Verb::get && verb != Verb::head);
    return "repository:" + name + (writes ? ":pull,push" : ":pull");
}

net::Async<Result<void>> recheck(const Grant& grant) {
    if (!grant.recheck) co_return Result<void>{};
    co_return co_await grant.recheck();
}

net::Async<std::expected<RegistryDoor::Admitted, net::Response>>
RegistryDoor::admit(const net::Request& request) const {
    const auto path = RegistryPath::parse(request.path);
    auto grant = co_await authorise_(request);
    if (!grant && grant.error().code == Code::unauthenticated)
        co_return std::unexpected(challenge(request, path, grant.error()));
    if (!grant) co_return std::unexpected(error_response(grant.error(), Subject::name));
    if (!path)
        co_return std::unexpected(error_response(
            404, "UNSUPPORTED",
            Error{Code::not_found, "no registry endpoint has the path " + request.path.substr(0, 300)}));
    const bool named = path->kind != Kind::base && path->kind != Kind::catalog;
    if (named && !is_repository_name(path->repository))
        co_return std::unexpected(
            error_response(Error{Code::invalid_argument,
                                 "'" + path->repository.substr(0, 300) + "' is not a repository name"},
                           Subject::name));
    co_return Admitted{.path = *path, .grant = std::move(*grant)};
}

net::Response RegistryDoor::challenge(const net::Request& request, const std::optional<RegistryPath>& path,
                                      const Error& error, std::string_view reason) const {
    std::string field = "Basic realm=\"consign\"";
    if (const auto realm = realm_ ? realm_(request) : std::string(); !realm.empty()) {
        field = "Bearer realm=" + quoted_string(realm) + ",service=" + quoted_string(service_);
        if (path && (path->repository.empty() || is_repository_name(path->repository)))
            if (const auto scope = scope_of(*path, request.verb, path->repository); !scope.empty())
                field += ",scope=" + quoted_string(scope);
        if (!reason.empty()) field += ",error=" + quoted_string(reason);
    }
    auto response = error_response(error, Subject::name);
    response.headers.set("WWW-Authenticate", std::move(field));
    return response;
}

} // namespace consign::oci
