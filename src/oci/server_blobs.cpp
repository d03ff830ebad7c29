#include "conditional.hpp"
#include "consign/base/log.hpp"
#include "range.hpp"
#include "server_impl.hpp"
#include <format>

namespace consign::oci {

namespace {

constexpr std::uint64_t kAlwaysHashedBytes = 64 * 1024; // 50 µs, and one more trip to the pool

net::Response unsatisfiable(std::uint64_t total) {
    auto response = error_response(
        416, "SIZE_INVALID", Error{Code::invalid_argument, std::format("the blob has {} bytes", total)});
    response.headers.set("Content-Range", std::format("bytes */{}", total));
    return response;
}

} // namespace

net::Async<net::Response> RegistryServer::Impl::get_blob(Exchange& exchange) {
    const auto access = exchange.access(Action::pull);
    if (!access.any()) co_return denied(exchange, "pull");
    auto digest = Digest::parse(exchange.path.reference);
    if (!digest) co_return error_response(digest.error(), Subject::blob);
    const auto seen = co_await may_see(access, exchange.path.repository, *digest);
    if (!seen) co_return error_response(seen.error(), Subject::blob);
    const auto unknown = [&] {
        return error_response(Error{Code::not_found, "repository " + exchange.path.repository +
                                                         " has no blob " + digest->str()},
                              Subject::blob);
    };
    if (!*seen) co_return unknown();
    // A push that asks whether it is here will not send it again.
    if (exchange.request.verb == net::Verb::head && exchange.access(Action::push).any()) {
        const auto kept = co_await core.keep_blob(exchange.path.repository, *digest);
        if (!kept) co_return error_response(kept.error(), Subject::blob);
        if (!*kept) co_return unknown();
    }
    auto opened = co_await core.open_blob(exchange.path.repository, *digest);
    if (!opened) co_return error_response(opened.error(), Subject::blob);
    auto* body = &opened->body;
    // What takes no time is hashed each time that it is sent; for the rest the file's stamp must do
    // (open_blob).
    if (body->size <= kAlwaysHashedBytes && exchange.request.verb == net::Verb::get) {
        const auto good = co_await holds(*body, *digest, core.pool);
        if (!good) co_return error_response(good.error(), Subject::blob);
        if (!*good) {
            co_await core.blob_is_damaged(*digest, *opened);
            co_return unknown();
        }
    }

    net::Response response;
    const auto etag = "\"" + digest->str() + "\"";
    response.headers.set("Docker-Content-Digest", digest->str());
    response.headers.set("ETag", etag);
    response.headers.set("Accept-Ranges", "bytes");
    response.headers.set("Cache-Control", "private, max-age=31536000, immutable");
    const auto& headers = exchange.request.headers;
    if (if_none_match(headers.get("If-None-Match"), etag)) {
        response.status = 304;
        co_return response;
    }
    response.headers.set("Content-Type", "application/octet-stream");
    const auto total = body->size;
    ByteRange range;
    const bool ranged = exchange.request.verb == net::Verb::get && if_range(headers.get("If-Range"), etag);
    const auto wanted = ranged ? headers.get("Range") : std::string_view{};
    const auto kind = parse_range(wanted, total, range);
    if (kind == RangeKind::unsatisfiable) co_return unsatisfiable(total);
    if (kind == RangeKind::part) {
        response.status = 206;
        response.headers.set("Content-Range",
                             std::format("bytes {}-{}/{}", range.first, range.first + range.size - 1, total));
        body->offset = range.first;
        body->size = range.size;
    }
    response.body = std::move(*body);
    co_return response;
}

net::Async<net::Response> RegistryServer::Impl::delete_blob(Exchange& exchange) {
    if (!exchange.access(Action::delete_).any()) co_return denied(exchange, "delete");
    auto digest = Digest::parse(exchange.path.reference);
    if (!digest) co_return error_response(digest.error(), Subject::blob);
    // Only the link: the bytes may be linked elsewhere, or be on their way in again. Collecting them is not
    // ours.
    const auto gone = co_await core.database->write(
        [repository = exchange.path.repository, digest = *digest](store::Transaction& tx) {
            return metadata::unlink_blob(tx, repository, digest);
        });
    if (!gone) co_return error_response(gone.error(), Subject::blob);
    if (!*gone)
        co_return error_response(Error{Code::not_found, "repository " + exchange.path.repository +
                                                            " has no blob " + digest->str()},
                                 Subject::blob);
    co_return net::Response::empty(202);
}

} // namespace consign::oci
