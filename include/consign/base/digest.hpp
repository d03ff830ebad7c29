#pragma once
#include "consign/base/bytes.hpp"
#include <compare>
#include <memory>

namespace consign {

/// A content digest, "sha256:<64 hex>" or "sha512:<128 hex>" (OCI image-spec 1.1, descriptor.md#digests).
class Digest {
  public:
    /// invalid_argument unless `text` is a digest of an algorithm we compute, in lower case.
    Digest() = default; ///< names nothing; every other value is well-formed
    static Result<Digest> parse(std::string_view text);
    static Digest sha256_of(ByteView bytes);
    static Digest sha256_of(std::string_view text) { return sha256_of(as_bytes(text)); }

    const std::string& str() const { return text_; }
    std::string_view algorithm() const {
        return std::string_view(text_).substr(0, 6);
    } ///< "sha256" or "sha512"
    bool empty() const { return text_.empty(); }
    std::string_view hex() const { return std::string_view(text_).substr(7); }
    auto operator<=>(const Digest&) const = default;

  private:
    friend class Hasher;
    explicit Digest(std::string text) : text_(std::move(text)) {}
    std::string text_;
};

/// Incremental hashing; about 1.4 GB/s per core for sha256 with the CPU's SHA instructions.
class Hasher {
  public:
    explicit Hasher(std::string_view algorithm = "sha256"); ///< "sha256" or "sha512"
    ~Hasher();
    Hasher(Hasher&&) noexcept;
    Hasher& operator=(Hasher&&) noexcept;
    void update(ByteView bytes);
    Digest finish(); ///< once; the hasher is spent afterwards

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Raw SHA-256, 32 bytes.
Bytes sha256(ByteView bytes);
/// SHA-256 in hex: how secrets of high entropy (tokens) are stored.
std::string sha256_hex(std::string_view text);

} // namespace consign
