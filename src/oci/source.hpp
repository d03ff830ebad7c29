#pragma once
// The Sources that this layer reads and wraps.
#include "consign/net/http.hpp"
#include "consign/oci/types.hpp"
#include <functional>

namespace consign::oci {

/// Bytes held in memory; the text must outlive it.
class TextSource final : public net::Source {
  public:
    explicit TextSource(std::string_view text) : rest_(text) {}
    net::Async<Result<std::size_t>> read(std::span<std::byte> into) override;

  private:
    std::string_view rest_;
};

/// Somebody else's Source, for an interface that wants to own one; the other must outlive it.
class BorrowedSource final : public net::Source {
  public:
    explicit BorrowedSource(net::Source& inner) : inner_(inner) {}
    net::Async<Result<std::size_t>> read(std::span<std::byte> into) override { return inner_.read(into); }

  private:
    net::Source& inner_;
};

/// Checks size and digest of what passes. The piece that completes the size is given out only after the
/// digest fits: whoever waits for `size` bytes never has a wrong blob. Hashes in the calling thread, piece by
/// piece.
class VerifyingSource final : public net::Source {
  public:
    VerifyingSource(std::unique_ptr<net::Source> inner, Descriptor expected, std::string from);
    net::Async<Result<std::size_t>> read(std::span<std::byte> into) override;
    /// What it found wrong, when the reader has lost it on the way (an HTTP client reports a broken body).
    const std::optional<Error>& failure() const { return failure_; }

  private:
    Result<std::size_t> take(ByteView piece);
    std::unique_ptr<net::Source> inner_;
    Descriptor expected_;
    std::string from_;
    Hasher hasher_;
    std::uint64_t seen_ = 0;
    bool verified_ = false;
    std::optional<Error> failure_;
};

/// Calls `on_piece` with the size of each piece.
class CountingSource final : public net::Source {
  public:
    CountingSource(std::unique_ptr<net::Source> inner, std::function<void(std::size_t)> on_piece)
        : inner_(std::move(inner)), on_piece_(std::move(on_piece)) {}
    net::Async<Result<std::size_t>> read(std::span<std::byte> into) override;

  private:
    std::unique_ptr<net::Source> inner_;
    std::function<void(std::size_t)> on_piece_;
};

/// Remembers the error that ended the reading: whoever sends it over a connection sees only a broken body.
class WatchedSource final : public net::Source {
  public:
    explicit WatchedSource(std::unique_ptr<net::Source> inner) : inner_(std::move(inner)) {}
    net::Async<Result<std::size_t>> read(std::span<std::byte> into) override;
    const std::optional<Error>& failure() const { return failure_; }
    net::Source& inner() { return *inner_; }

  private:
    std::unique_ptr<net::Source> inner_;
    std::optional<Error> failure_;
};

/// The next `size` bytes of somebody else's Source, which must outlive it.
class SliceSource final : public net::Source {
  public:
    SliceSource(std::shared_ptr<net::Source> inner, std::uint64_t size)
        : inner_(std::move(inner)), left_(size) {}
    net::Async<Result<std::size_t>> read(std::span<std::byte> into) override;

  private:
    std::shared_ptr<net::Source> inner_;
    std::uint64_t left_;
};

/// Reads `bytes` away; corrupt if the source ends before.
net::Async<Result<void>> skip(net::Source& source, std::uint64_t bytes);

/// A stored blob, read and hashed on the pool: corrupt when the file is not `expected`.
std::unique_ptr<net::Source> make_file_source(net::FileBody body, Descriptor expected,
                                              net::BlockingPool& pool);

/// What read_full() got. `size` bytes are good also when an error ended it: a broken upload goes on where it
/// stopped.
struct Filled {
    std::size_t size = 0;
    bool ended = false; ///< the source has no more, or failed
    std::optional<Error> error = {};
};
/// Fills `into` as far as the source goes: pieces worth a trip to the blocking pool.
net::Async<Filled> read_full(net::Source& source, std::span<std::byte> into);

} // namespace consign::oci
