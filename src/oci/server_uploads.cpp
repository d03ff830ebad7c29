// Pushing blobs: in one request, in one stream, or in chunks (distribution-spec 1.1, "Push").
#include "range.hpp"
#include "server_impl.hpp"
#include <format>

namespace consign::oci {

namespace {

// What each chunk should have at least; smaller ones are taken, too. Below, a request costs more than its
// bytes.
constexpr std::size_t kChunkMinBytes = 64 * 1024;
constexpr std::string_view kAlgorithm = "digest-algorithm";

std::string upload_location(const std::string& repository, const std::string& id) {
    return "/v2/" + repository + "/blobs/uploads/" + id;
}

/// The algorithm that the client announced with its POST, which its upload's location repeats ever after.
std::string algorithm_of(const net::Request& request) {
    return request.query.get(kAlgorithm) == "sha512" ? "sha512" : "sha256";
}

net::Response upload_response(int status, const Exchange& exchange, const std::string& id,
                              std::uint64_t size) {
    auto response = net::Response::empty(status);
    auto location = upload_location(exchange.path.repository, id);
    if (algorithm_of(exchange.request) != "sha256") location += "?digest-algorithm=sha512";
    response.headers.set("Location", location);
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

/// A body whose length nobody announced, but whose range somebody did: it must end there.
class RangedSource final : public net::Source {
  public:
    RangedSource(net::Source& inner, const net::Request& request) : inner_(inner) {
        const auto range = parse_chunk_range(request.headers.get("Content-Range"));
        if (range && !request.content_length) left_ = range->size;
    }
    net::Async<Result<std::size_t>> read(std::span<std::byte> into) override {
        CONSIGN_CO_TRY(count, co_await inner_.read(into));
        if (!left_) co_return count;
        broken_ = count > *left_ || (count == 0 && *left_ > 0);
        if (broken_)
            co_return fail(Code::invalid_argument, "the chunk is not as long as its Content-Range says");
        *left_ -= count;
        co_return count;
    }
    bool broken() const { return broken_; }

  private:
    net::Source& inner_;
    std::optional<std::uint64_t> left_;
    bool broken_ = false;
};

/// Where the upload is, for a chunk that does not go on from there.
net::Response misfit(const Exchange& exchange, std::uint64_t size) {
    auto response = upload_response(416, exchange, exchange.path.reference, size);
    auto error = error_response(
        416, "BLOB_UPLOAD_INVALID",
        Error{Code::invalid_argument,
              std::format("the next chunk starts at byte {}; its Content-Range is FIRST-LAST, and "
                          "it has as many bytes",
                          size)});
    for (const auto& [name, value] : error.headers.items()) response.headers.set(name, value);
    response.body = std::move(error.body);
    return response;
}

/// A quota or the disk: coming back with more of the same will not help.
bool is_over_the_limit(const Error& error) {
    return error.code == Code::permission_denied || error.code == Code::storage_full;
}

} // namespace

net::Async<Result<bool>> RegistryServer::Impl::try_mount(Exchange& exchange, Digest digest,
                                                         std::string from) {
    std::vector<std::string> sources{from};
    if (from.empty()) {
        CONSIGN_CO_TRY(having, co_await core.database->read([digest](store::Connection& c) {
            return metadata::repositories_with(c, digest);
        }));
        sources = std::move(having);
    }
    for (const auto& source : sources) {
        const auto access = access_to(exchange.grant, source, Action::pull);
        if (!is_repository_name(source) || !access.any()) continue;
        CONSIGN_CO_TRY(seen, co_await may_see(access, source, digest));
        if (!seen) continue;
        CONSIGN_CO_TRY(mounted, co_await core.mount_blob(source, exchange.path.repository, digest));
        if (mounted) co_return true;
    }
    co_return false;
}

net::Async<net::Response> RegistryServer::Impl::begin_upload(Exchange& exchange) {
    if (!exchange.access(Action::push).any()) co_return denied(exchange, "push");
    const auto& repository = exchange.path.repository;
    const auto& query = exchange.request.query;
    // What cannot be mounted, for whatever reason, is uploaded ("it SHOULD return a 202").
    if (const auto digest = Digest::parse(query.get_or("mount", ""))) {
        const auto mounted = co_await try_mount(exchange, *digest, std::string(query.get_or("from", "")));
        if (!mounted) co_return error_response(mounted.error(), Subject::upload);
        if (*mounted) co_return created(repository, *digest);
    }
    if (const auto algorithm = query.get_or(kAlgorithm, "sha256");
        algorithm != "sha256" && algorithm != "sha512")
        co_return error_response(
            Error{Code::invalid_argument,
                  "digests of the algorithm '" + std::string(algorithm.substr(0, 40)) + "' are not supported",
                  "use sha256 or sha512"},
            Subject::blob);
    std::optional<Digest> whole;
    if (const auto named = exchange.request.query.get("digest")) { // refuse before a byte is read
        auto digest = Digest::parse(*named);
        if (!digest) co_return error_response(digest.error(), Subject::blob);
        whole = std::move(*digest);
    }
    // How much it may be is asked when the bytes come; nobody should begin where the disk has no room at all.
    if (core.options.free_floor_bytes > 0 && !whole) {
        const auto room = co_await core.room(repository, {}, 0);
        if (!room) co_return error_response(room.error(), Subject::upload);
    }
    auto id = co_await core.blobs->begin_upload();
    if (!id) co_return error_response(id.error(), Subject::upload);
    if (whole) co_return co_await finish_upload(exchange, *id, 0);
    auto response = upload_response(202, exchange, *id, 0);
    response.headers.set("OCI-Chunk-Min-Length", std::to_string(kChunkMinBytes));
    co_return response;
}

net::Async<net::Response> RegistryServer::Impl::continue_upload(Exchange& exchange) {
    if (!exchange.access(Action::push).any()) co_return denied(exchange, "push");
    const auto& [request, path, grant] = exchange;
    const auto size = co_await core.blobs->upload_size(path.reference);
    if (!size) co_return error_response(size.error(), Subject::upload);
    if (!fits(request, *size)) co_return misfit(exchange, *size);
    if (request.verb == net::Verb::put) co_return co_await finish_upload(exchange, path.reference, *size);
    const auto room = co_await core.room(path.repository, {}, *size + request.content_length.value_or(0));
    RangedSource ranged(*request.body, request);
    LimitedSource body(ranged, room ? *room - *size : 0, path.repository);
    const auto now = room ? co_await core.blobs->append(path.reference, body, algorithm_of(request)) : room;
    if (ranged.broken()) {
        const auto have = co_await core.blobs->upload_size(path.reference);
        co_return misfit(exchange, have.value_or(*size));
    }
    if (!now && is_over_the_limit(now.error())) (void)co_await core.blobs->abandon(path.reference);
    if (!now) co_return error_response(now.error(), Subject::upload);
    co_return upload_response(202, exchange, path.reference, *now);
}

/// `have` bytes came before this request.
net::Async<net::Response> RegistryServer::Impl::finish_upload(Exchange& exchange, std::string id,
                                                              std::uint64_t have) {
    auto digest = Digest::parse(exchange.request.query.get_or("digest", ""));
    if (!digest) co_return error_response(digest.error(), Subject::blob);
    auto done = co_await receive_last(exchange, id, *digest, have);
    if (!done) {
        // All of it came in this request, so nobody has a reason to go on; what was sent in chunks may go on.
        if (have == 0 || is_over_the_limit(done.error())) (void)co_await core.blobs->abandon(id);
        co_return refuse(exchange, done.error(), Subject::upload);
    }
    const auto linked = co_await core.link_blob(exchange.path.repository, *digest, std::move(*done));
    if (!linked) co_return error_response(linked.error(), Subject::upload);
    co_return created(exchange.path.repository, *digest);
}

/// The last chunk, or all of it, and then the blob.
net::Async<Result<BlobStore::Finished>>
RegistryServer::Impl::receive_last(Exchange& exchange, std::string id, Digest digest, std::uint64_t have) {
    const auto& [request, path, grant] = exchange;
    CONSIGN_CO_TRY(room,
                   co_await core.room(path.repository, digest, have + request.content_length.value_or(0)));
    RangedSource ranged(*request.body, request);
    LimitedSource body(ranged, room - have, path.repository);
    co_return co_await core.blobs->receive(id, body, digest, [&exchange] { return recheck(exchange.grant); });
}

net::Async<net::Response> RegistryServer::Impl::upload_status(Exchange& exchange) {
    if (!exchange.access(Action::push).any()) co_return denied(exchange, "push");
    const auto size = co_await core.blobs->upload_size(exchange.path.reference);
    if (!size) co_return error_response(size.error(), Subject::upload);
    co_return upload_response(204, exchange, exchange.path.reference, *size);
}

net::Async<net::Response> RegistryServer::Impl::abandon_upload(Exchange& exchange) {
    if (!exchange.access(Action::push).any()) co_return denied(exchange, "push");
    const auto gone = co_await core.blobs->abandon(exchange.path.reference);
    if (!gone) co_return error_response(gone.error(), Subject::upload);
    co_return net::Response::empty(204);
}

} // namespace consign::oci
