#pragma once
// What comes in on one connection: heads, bodies, and the bytes between them.
#include "net/http_parser.hpp"
#include "net/stream.hpp"
#include <memory>
#include <span>

namespace consign::net {

/// Memory that reads fill. It is not zeroed first: pages that no read reaches are never resident.
class Scratch {
  public:
    explicit Scratch(std::size_t size)
        : memory_(std::make_unique_for_overwrite<std::byte[]>(size)), size_(size) {}
    std::span<std::byte> all() const { return {memory_.get(), size_}; }

  private:
    std::unique_ptr<std::byte[]> memory_;
    std::size_t size_;
};

/// The read side of a connection. Bytes go through a buffer that all connections of the thread share; a
/// connection owns only what was read beyond its message, which for an idle one is nothing.
class Incoming {
  public:
    Incoming(Stream& stream, std::span<std::byte> scratch) : stream_(stream), scratch_(scratch) {}

    /// The next complete head with its blank line. "": the peer closed before its first byte.
    /// Errors: too_large, timed_out, unavailable (closed in the middle), cancelled.
    Async<Result<std::string>> read_head(std::size_t limit_bytes, SteadyTime deadline);
    bool has_bytes() const { return !pending_.empty(); }

    enum class Kind { none, length, chunked, until_close };
    void begin_body(Kind kind, std::uint64_t length, std::unique_ptr<ChunkedDecoder> decoder);
    bool body_done() const { return kind_ == Kind::none; }
    std::uint64_t body_left() const { return kind_ == Kind::length ? left_ : 0; }
    Kind kind() const { return kind_; }
    /// 0: the end. Errors: unavailable (closed before the end), invalid_argument (bad chunks), and the
    /// stream's.
    Async<Result<std::size_t>> read_body(std::span<std::byte> into, SteadyTime deadline);

  private:
    Async<Result<std::size_t>> read_length(std::span<std::byte> into, SteadyTime deadline);
    Async<Result<std::size_t>> read_chunked(std::span<std::byte> into, SteadyTime deadline);
    void consume(std::size_t count);

    Stream& stream_;
    std::span<std::byte> scratch_;
    std::string pending_;
    Kind kind_ = Kind::none;
    std::uint64_t left_ = 0;
    std::unique_ptr<ChunkedDecoder> decoder_;
};

} // namespace consign::net
