#include "net/incoming.hpp"
#include <algorithm>
#include <cstring>

namespace consign::net {

namespace {
// A chunk's size line, its extensions and all trailers: nobody needs more.
constexpr std::size_t kChunkHeaderLimit = 16 * 1024;
constexpr std::size_t kChunkOverhead = 64;
} // namespace

void Incoming::consume(std::size_t count) {
    if (count == pending_.size()) {
        std::string().swap(pending_); // an idle connection owns no buffer
    } else {
        pending_.erase(0, count);
    }
}

Async<Result<std::string>> Incoming::read_head(std::size_t limit_bytes, SteadyTime deadline) {
    std::size_t searched = 0;
    for (;;) {
        // Blank lines between messages are skipped (RFC 9112 section 2.2).
        const auto start = std::min(pending_.find_first_not_of("\r\n"), pending_.size());
        if (searched == 0 && start > 0) consume(start);
        // A TLS client at a plain port sends no line end and would wait for an answer until a deadline.
        if (!pending_.empty() && (pending_[0] <= ' ' || pending_[0] >= 0x7f))
            co_return fail(Code::invalid_argument,
                           pending_[0] == 0x15 || pending_[0] == 0x16
                               ? "these are bytes of TLS where plain HTTP was expected"
                               : "the message does not begin as HTTP does");
        const auto end = find_head_end(pending_, searched);
        if (end != std::string::npos && end <= limit_bytes) {
            std::string head = pending_.substr(0, end);
            consume(end);
            co_return head;
        }
        if (pending_.size() > limit_bytes || end != std::string::npos)
            co_return fail(Code::too_large,
                           "the message's head is larger than " + std::to_string(limit_bytes) + " bytes");
        searched = pending_.size() > 3 ? pending_.size() - 3 : 0;
        CONSIGN_CO_TRY(got, co_await stream_.read_some(scratch_, deadline));
        if (got == 0) {
            if (pending_.empty()) co_return std::string{};
            co_return fail(Code::unavailable, "the connection was closed in the middle of a head");
        }
        pending_.append(as_text(scratch_.first(got)));
    }
}

void Incoming::begin_body(Kind kind, std::uint64_t length, std::unique_ptr<ChunkedDecoder> decoder) {
    kind_ = kind == Kind::length && length == 0 ? Kind::none : kind;
    left_ = length;
    decoder_ = std::move(decoder);
}

Async<Result<std::size_t>> Incoming::read_body(std::span<std::byte> into, SteadyTime deadline) {
    if (kind_ == Kind::none || into.empty()) co_return std::size_t{0};
    if (kind_ == Kind::chunked) co_return co_await read_chunked(into, deadline);
    co_return co_await read_length(into, deadline);
}

Async<Result<std::size_t>> Incoming::read_length(std::span<std::byte> into, SteadyTime deadline) {
    if (kind_ == Kind::length)
        into = into.first(static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), left_)));
    std::size_t got = 0;
    if (!pending_.empty()) {
        got = std::min(into.size(), pending_.size());
        std::memcpy(into.data(), pending_.data(), got);
        consume(got);
    } else {
        CONSIGN_CO_TRY(read, co_await stream_.read_some(into, deadline));
        got = read;
    }
    if (kind_ == Kind::until_close) {
        if (got == 0) kind_ = Kind::none;
        co_return got;
    }
    if (got == 0)
        co_return fail(Code::unavailable,
                       "the connection was closed " + std::to_string(left_) + " bytes before the body's end");
    left_ -= got;
    if (left_ == 0) kind_ = Kind::none;
    co_return got;
}

// What was just read is decoded where it lies; only what does not fit, or is half a chunk's header, is kept.
Async<Result<std::size_t>> Incoming::read_chunked(std::span<std::byte> into, SteadyTime deadline) {
    for (bool starved = pending_.empty();; starved = true) {
        std::string_view input = pending_;
        if (starved) {
            const auto room = std::clamp(into.size() + kChunkOverhead, kChunkHeaderLimit, scratch_.size());
            CONSIGN_CO_TRY(
                got, co_await stream_.read_some(scratch_.first(std::min(room, scratch_.size())), deadline));
            if (got == 0)
                co_return fail(Code::unavailable,
                               "the connection was closed in the middle of a chunked body");
            input = as_text(scratch_.first(got));
        }
        if (starved && !pending_.empty()) {
            pending_.append(input);
            input = pending_;
            starved = false;
        }
        CONSIGN_CO_TRY(step, decoder_->decode(input, into));
        if (starved)
            pending_ = input.substr(step.consumed);
        else
            consume(step.consumed);
        if (decoder_->done()) {
            kind_ = Kind::none;
            decoder_.reset();
            co_return step.produced;
        }
        if (step.produced > 0) co_return step.produced;
        if (pending_.size() > kChunkHeaderLimit)
            co_return fail(Code::invalid_argument, "a chunk's header is too large");
    }
}

} // namespace consign::net
