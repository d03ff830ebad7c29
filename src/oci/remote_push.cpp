// Pushing blobs to registries as they are (distribution-spec 1.1, "Pushing blobs").
//
// One PUT with a known length is what every registry takes: chunks are dropped after the first by some, who
// answer 201 all the same, and refused by others. So parts are for three cases only: a registry, or a proxy
// before it, that refuses the one big request; an upload that broke and goes on; and one that may have to go
// on in another process, where the registry says OCI-Chunk-Min-Length and so knows what chunks are. Whatever
// went up in parts is asked for by HEAD before it is believed.
#include "remote_repository.hpp"
#include "source.hpp"
#include <charconv>
#include <format>

namespace consign::oci {

namespace {

using net::Async;
using net::ClientRequest;
using net::ClientResponse;
using net::Verb;

// A registry may hash and fsync gigabytes before it answers the request that completes a blob.
constexpr auto kFinishDeadline = std::chrono::minutes(10);
// Up to here a blob is read first and sent from memory: one write with the head, and it can be sent again.
constexpr std::size_t kSmallBytes = 64 * 1024;
constexpr std::uint64_t kChunkBytes = 16u << 20;

/// What came of one request or of a whole attempt.
enum class Verdict {
    done,
    again,   ///< the session is good still: ask how far it is, go on
    afresh,  ///< the session is of no use any more
    chunked, ///< not in one request
    failed,
};
struct Outcome {
    Verdict verdict = Verdict::done;
    Error error = {};
    std::optional<std::chrono::milliseconds> pause = {};
};

std::string with_query(std::string target, std::string_view name, std::string_view value) {
    return target + (target.contains('?') ? "&" : "?") + std::string(name) + "=" + net::percent_encode(value);
}

/// How many bytes "0-41" says are there. "0-0" stands for none as well as for one byte; nullopt: no such
/// field.
std::optional<std::uint64_t> bytes_there(std::string_view range) {
    if (range.starts_with("bytes=")) range.remove_prefix(6); // some write it like the other Range
    if (!range.starts_with("0-")) return std::nullopt;
    range.remove_prefix(2);
    std::uint64_t last = 0;
    const auto [end, error] = std::from_chars(range.data(), range.data() + range.size(), last);
    if (error != std::errc() || end != range.data() + range.size()) return std::nullopt;
    return last == 0 ? 0 : last + 1;
}

class Pushing {
  public:
    Pushing(RemoteRepository& repository, Push push)
        : repository_(repository), client_(repository.client()), push_(std::move(push)),
          scope_(repository.scope(RemoteRepository::Access::push)) {}

    Async<Result<void>> run() {
        if (!push_.session.empty())
            if (auto url = net::Url::parse(push_.session)) location_ = std::move(*url);
        Attempts attempts(client_.retry());
        for (;;) {
            auto outcome = co_await attempt();
            if (outcome.verdict == Verdict::done) break;
            if (outcome.verdict == Verdict::failed) co_return std::unexpected(std::move(outcome.error));
            if (outcome.verdict != Verdict::again) co_await forget();
            if (outcome.verdict == Verdict::chunked) {
                in_chunks_ = true;
                continue; // a refusal, no mishap
            }
            if (!co_await attempts.another(outcome.pause))
                co_return std::unexpected(std::move(outcome.error));
        }
        co_await forget();
        co_return Result<void>{};
    }

  private:
    /// From wherever the session is to the end.
    Async<Outcome> attempt() {
        std::uint64_t offset = 0;
        if (location_) {
            const auto there = co_await progress();
            if (!there) co_await forget();
            offset = there.value_or(0);
        }
        if (!location_) {
            auto begun = co_await begin();
            if (begun.verdict != Verdict::done || mounted_) co_return begun;
        }
        if (offset > 0 && push_.on_spared && !spared_) push_.on_spared(offset);
        if (offset > 0) spared_ = true;
        // Of a PUT that breaks nothing may be kept. A registry that speaks of chunks keeps what a PATCH
        // brought.
        const bool resumable = takes_chunks_ && push_.remember;
        const bool whole = offset == 0 && !in_chunks_ && !resumable;
        auto sent = co_await (whole ? send_whole() : send_parts(offset));
        if (sent.verdict != Verdict::done || whole) co_return sent;
        co_return co_await verify();
    }

    /// Opens a session, or mounts.
    Async<Outcome> begin() {
        auto post = repository_.request(Verb::post, "/blobs/uploads/");
        auto scope = scope_;
        if (!push_.mount_from.empty() && !mount_tried_) {
            post.url.target = with_query(post.url.target, "mount", push_.blob.digest.str());
            post.url.target = with_query(post.url.target, "from", push_.mount_from);
            scope += " repository:" + push_.mount_from + ":pull";
        }
        auto response = co_await client_.send(std::move(post), std::move(scope));
        if (!response) co_return Outcome{Verdict::failed, std::move(response).error()};
        const bool mounting = !push_.mount_from.empty() && !std::exchange(mount_tried_, true);
        if (response->status ==
            201) { // mounted; or a registry that has the blob by its digest says so at once
            co_await client_.drop(*response);
            const auto there = co_await repository_.has_blob(push_.blob);
            if (!there) co_return Outcome{Verdict::failed, there.error()};
            if (*there) {
                mounted_ = true;
                if (push_.on_spared) push_.on_spared(push_.blob.size);
                co_return Outcome{};
            }
            if (mounting) co_return co_await begin();
            co_return Outcome{Verdict::failed,
                              {Code::unavailable, repository_.describe() +
                                                      " answered 201 to the begin of an upload, "
                                                      "and does not have the blob"}};
        }
        if (response->status != 202) {
            // Whoever may not read the other repository may be refused outright: then it is sent.
            auto error = co_await repository_.error_of(*response);
            if (mounting) co_return co_await begin();
            co_return Outcome{Verdict::failed, std::move(error)};
        }
        const auto taken = co_await take_location(*response);
        if (!taken) co_return Outcome{Verdict::failed, taken.error()};
        chunk_bytes_ = kChunkBytes;
        const auto least = response->headers.get("OCI-Chunk-Min-Length");
        takes_chunks_ = !least.empty();
        std::uint64_t bytes = 0;
        if (const auto [end, failed] = std::from_chars(least.data(), least.data() + least.size(), bytes);
            failed == std::errc() && bytes > chunk_bytes_)
            chunk_bytes_ = bytes;
        co_await client_.drop(*response);
        co_return Outcome{};
    }

    /// Where the next request goes, by the answer to the last one (absolute or relative, its query kept).
    Async<Result<void>> take_location(const ClientResponse& response) {
        const auto field = response.headers.get("Location");
        if (field.empty()) {
            if (location_) co_return Result<void>{}; // it stays
            co_return fail(Code::unavailable, repository_.describe() + " began an upload without a Location");
        }
        CONSIGN_CO_TRY(next, response.url.resolve(field));
        if (client_.registry().tls() && !next.tls())
            co_return fail(Code::unavailable,
                           repository_.describe() + " wants the blob at " + next.origin() + ", without TLS");
        location_ = std::move(next);
        if (push_.remember) co_await push_.remember(location_->str());
        co_return Result<void>{};
    }

    /// How far the session is; nullopt: it is gone, or of no use.
    Async<std::optional<std::uint64_t>> progress() {
        auto response = co_await client_.send({.verb = Verb::get, .url = *location_}, scope_);
        if (!response) co_return std::nullopt;
        const auto there = bytes_there(response->headers.get("Range"));
        co_await client_.drop(*response);
        if ((response->status != 204 && response->status != 200 && response->status != 202) ||
            there.value_or(0) > push_.blob.size)
            co_return std::nullopt;
        if (!co_await take_location(*response)) co_return std::nullopt;
        co_return there.value_or(0);
    }

    ClientRequest finishing() const {
        ClientRequest put{.verb = Verb::put, .url = *location_};
        put.url.target = with_query(put.url.target, "digest", push_.blob.digest.str());
        put.headers.set("Content-Type", "application/octet-stream");
        put.response_deadline = kFinishDeadline;
        return put;
    }

    Async<Outcome> send_whole() {
        auto opened = co_await push_.open(0);
        if (!opened) co_return Outcome{Verdict::failed, std::move(opened).error()};
        auto put = finishing();
        auto content = std::make_shared<WatchedSource>(
            std::make_unique<VerifyingSource>(std::move(*opened), push_.blob, "the source"));
        if (push_.blob.size <= kSmallBytes) {
            auto text = co_await net::read_all(*content, kSmallBytes);
            if (!text) co_return Outcome{Verdict::failed, std::move(text).error()};
            put.body = std::move(*text);
        } else {
            put.body = net::StreamBody{.source = content, .size = push_.blob.size};
        }
        auto response = co_await client_.send(std::move(put), scope_);
        co_return co_await judge(std::move(response), content->failure(), false);
    }

    /// PATCH from `offset` on, then the PUT that ends it.
    Async<Outcome> send_parts(std::uint64_t offset) {
        std::shared_ptr<WatchedSource> content;
        while (offset < push_.blob.size) {
            if (!content) {
                auto opened = co_await push_.open(offset);
                if (!opened) co_return Outcome{Verdict::failed, std::move(opened).error()};
                content = std::make_shared<WatchedSource>(std::move(*opened));
            }
            const auto size =
                in_chunks_ ? std::min(chunk_bytes_, push_.blob.size - offset) : push_.blob.size - offset;
            ClientRequest patch{.verb = Verb::patch, .url = *location_};
            patch.headers.set("Content-Type", "application/octet-stream");
            patch.headers.set("Content-Range", std::format("{}-{}", offset, offset + size - 1));
            patch.body =
                net::StreamBody{.source = std::make_shared<SliceSource>(content, size), .size = size};
            patch.response_deadline = kFinishDeadline;
            auto response = co_await client_.send(std::move(patch), scope_);
            if (response && response->ok()) {
                if (auto taken = co_await take_location(*response); !taken)
                    co_return Outcome{Verdict::failed, taken.error()};
                co_await client_.drop(*response);
                offset += size;
                continue;
            }
            co_return co_await judge(std::move(response), content->failure(), true);
        }
        auto put = finishing();
        co_return co_await judge(co_await client_.send(std::move(put), scope_), std::nullopt, true);
    }

    /// What the answer to a request with content means. `parts`: the content did not go up in this request
    /// alone.
    Async<Outcome> judge(Result<ClientResponse> response, std::optional<Error> source_failure, bool parts) {
        if (source_failure) co_return Outcome{Verdict::failed, std::move(*source_failure)};
        if (!response) {
            const auto code = response.error().code;
            const bool broken = code == Code::unavailable || code == Code::timed_out;
            co_return Outcome{broken ? Verdict::again : Verdict::failed, std::move(response).error()};
        }
        if (response->status == 201 || response->status == 204) {
            co_await client_.drop(*response);
            co_return Outcome{};
        }
        const int status = response->status;
        const auto pause = retry_after(response->headers, SystemClock().now());
        if (status == 401 && !renewed_ && response->headers.has("WWW-Authenticate")) {
            renewed_ = true; // the token ran out between two requests
            auto renewed = co_await client_.renew(*response, scope_);
            co_await client_.drop(*response);
            if (!renewed) co_return Outcome{Verdict::failed, std::move(renewed).error()};
            co_return Outcome{Verdict::again,
                              {Code::unauthenticated, "the token was refused"},
                              std::chrono::milliseconds(0)};
        }
        auto error = co_await repository_.error_of(*response);
        if (is_passing(status)) co_return Outcome{Verdict::again, std::move(error), pause};
        if (status == 404) co_return Outcome{Verdict::afresh, std::move(error)};
        // The registry is not done with the request that broke: how far it is will be asked again.
        if (parts && (status == 409 || status == 416)) co_return Outcome{Verdict::again, std::move(error)};
        if (!parts && !in_chunks_ && (status == 413 || status == 405 || status == 411 || status == 501))
            co_return Outcome{Verdict::chunked, std::move(error)};
        // What an earlier attempt sent may not be what we think it is.
        if (parts && !in_chunks_ && status >= 400 && status < 500 && status != 401 && status != 403)
            co_return Outcome{Verdict::afresh, std::move(error)};
        co_return Outcome{Verdict::failed, std::move(error)};
    }

    /// (reported) ECR keeps the first chunk only, and answers 201.
    Async<Outcome> verify() {
        const auto there = co_await repository_.has_blob(push_.blob);
        if (there && *there) co_return Outcome{};
        if (!there) co_return Outcome{Verdict::failed, there.error()};
        Error error{Code::corrupt,
                    std::format("{} took {} in parts, said it has it, and does not", repository_.describe(),
                                push_.blob.digest.str()),
                    "that registry does not take blobs in chunks"};
        co_return Outcome{in_chunks_ ? Verdict::failed : Verdict::afresh, std::move(error)};
    }

    Async<void> forget() {
        if (!location_) co_return;
        location_.reset();
        if (push_.remember) co_await push_.remember("");
    }

    RemoteRepository& repository_;
    RegistryClient& client_;
    Push push_;
    std::string scope_;
    std::optional<net::Url> location_; // of the session
    std::uint64_t chunk_bytes_ = kChunkBytes;
    bool takes_chunks_ = false, mounted_ = false, mount_tried_ = false, in_chunks_ = false, renewed_ = false,
         spared_ = false;
};

/// A content that can be read once.
Async<Result<std::unique_ptr<net::Source>>> open_once(net::Source* content, std::shared_ptr<bool> used,
                                                      std::uint64_t offset) {
    if (std::exchange(*used, true) || offset > 0)
        co_return fail(Code::unavailable, "the upload broke, and its content cannot be read again",
                       "try again");
    co_return std::make_unique<BorrowedSource>(*content);
}

} // namespace

Async<Result<void>> RemoteRepository::push(Push push) {
    Pushing pushing(*this, std::move(push));
    co_return co_await pushing.run();
}

Async<Result<void>> RemoteRepository::push_blob(Descriptor blob, net::Source& content) {
    Push once{.blob = std::move(blob),
              .open = [content = &content, used = std::make_shared<bool>(false)](std::uint64_t offset) {
                  return open_once(content, used, offset);
              }};
    co_return co_await push(std::move(once));
}

} // namespace consign::oci
