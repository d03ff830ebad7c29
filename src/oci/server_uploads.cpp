// Pushing blobs: in one request, in one stream, or in chunks (distribution-spec 1.1, "Push").
#include "range.hpp"
#include "server_impl.hpp"
#include <format>

namespace consign::oci {

namespace {

std::string upload_location(const std::string& repository, const std::string& id) {
    return "/v2/" + repository + "/blobs/uploads/" + id;
}

net::Response upload_response(int status, const std::string& repository, const std::string& id,
                              std::uint64_t size) {
    auto response = net::Response::empty(status);
    response.headers.set("Location", upload_location(repository, id));
    response.headers.set("Range",
                         std::format("0-{}", size > 0 ? size - 1 : 0)); // the spec has no way to say "none"
    response.headers.set("Docker-Upload-UUID", id);
    return response;
}

net::Response created(const std::string& repository, const Digest& digest) {
    auto response = net::Response::empty(201);
    response.headers.set("Location", blob_location(repository, digest));
    response.headers.set("Docker-Content-Digest", digest.str());
    return response;
}

/// The chunk must start where the upload ends, and be as long as it says.
bool fits(const net::Request& request, std::uint64_t size) {
    const auto field = request.headers.get("Content-Range");
    if (field.empty()) return true;
    const auto range = parse_chunk_range(field);
    return range && range->first == size &&
           (!request.content_length || *request.content_length == range->size);
}

} // namespace

net::Async<Result<bool>> RegistryServer::Impl::try_mount(Exchange& exchange, Digest digest,
                                                         std::string from) {
    const auto access = access_to(exchange.grant, from, Action::pull);
    if (!is_repository_name(from) || !access.any()) co_return false;
    CONSIGN_CO_TRY(seen, co_await may_see(access, from, digest));
    if (!seen) co_return false;
    co_return co_await core.mount_blob(from, exchange.path.repository, digest);
}

net::Async<net::Response> RegistryServer::Impl::begin_upload(Exchange& exchange) {
    if (!exchange.access(Action::push).any()) co_return denied(exchange, "push");
    const auto& repository = exchange.path.repository;
    const auto mount = exchange.request.query.get("mount");
    const auto from = exchange.request.query.get("from");
    if (mount && from) {
        auto digest = Digest::parse(*mount);
        if (!digest) co_return error_response(digest.error(), Subject::blob);
        const auto mounted = co_await try_mount(exchange, *digest, std::string(*from));
        if (!mounted) co_return error_response(mounted.error(), Subject::upload);
        if (*mounted) co_return created(repository, *digest);
    }
    const auto whole = exchange.request.query.get("digest");
    if (whole) // refuse before a byte is read
        if (auto digest = Digest::parse(*whole); !digest)
            co_return error_response(digest.error(), Subject::blob);
    auto id = co_await core.blobs->begin_upload();
    if (!id) co_return error_response(id.error(), Subject::upload);
    if (whole) co_return co_await finish_upload(exchange, *id);
    co_return upload_response(202, repository, *id, 0);
}

net::Async<net::Response> RegistryServer::Impl::continue_upload(Exchange& exchange) {
    if (!exchange.access(Action::push).any()) co_return denied(exchange, "push");
    const auto& [request, path, grant] = exchange;
    const auto size = co_await core.blobs->upload_size(path.reference);
    if (!size) co_return error_response(size.error(), Subject::upload);
    if (!fits(request, *size)) {
        auto response = upload_response(416, path.repository, path.reference, *size);
        auto error = error_response(
            416, "BLOB_UPLOAD_INVALID",
            Error{Code::invalid_argument, std::format("the next chunk starts at byte {}", *size)});
        for (const auto& [name, value] : error.headers.items()) response.headers.set(name, value);
        response.body = std::move(error.body);
        co_return response;
    }
    if (request.verb == net::Verb::put) co_return co_await finish_upload(exchange, path.reference);
    const auto now = co_await core.blobs->append(path.reference, *request.body);
    if (!now) co_return error_response(now.error(), Subject::upload);
    co_return upload_response(202, path.repository, path.reference, *now);
}

net::Async<net::Response> RegistryServer::Impl::finish_upload(Exchange& exchange, std::string id) {
    auto digest = Digest::parse(exchange.request.query.get_or("digest", ""));
    if (!digest) co_return error_response(digest.error(), Subject::blob);
    if (exchange.request.content_length != 0) { // the last chunk, or all of it
        const auto appended = co_await core.blobs->append(id, *exchange.request.body);
        if (!appended) co_return error_response(appended.error(), Subject::upload);
    }
    const auto size = co_await core.blobs->finish(id, *digest);
    if (!size) co_return error_response(size.error(), Subject::upload);
    const auto linked = co_await core.link_blob(exchange.path.repository, *digest, *size);
    if (!linked) co_return error_response(linked.error(), Subject::upload);
    co_return created(exchange.path.repository, *digest);
}

net::Async<net::Response> RegistryServer::Impl::upload_status(Exchange& exchange) {
    if (!exchange.access(Action::push).any()) co_return denied(exchange, "push");
    const auto size = co_await core.blobs->upload_size(exchange.path.reference);
    if (!size) co_return error_response(size.error(), Subject::upload);
    co_return upload_response(204, exchange.path.repository, exchange.path.reference, *size);
}

net::Async<net::Response> RegistryServer::Impl::abandon_upload(Exchange& exchange) {
    if (!exchange.access(Action::push).any()) co_return denied(exchange, "push");
    const auto gone = co_await core.blobs->abandon(exchange.path.reference);
    if (!gone) co_return error_response(gone.error(), Subject::upload);
    co_return net::Response::empty(204);
}

} // namespace consign::oci
