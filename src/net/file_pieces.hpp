#pragma once
#include "consign/base/bytes.hpp"
#include "consign/base/file.hpp"
#include <memory>
#include <new>

namespace consign::net {

/// The bytes of an open file from `offset` on, piece by piece, for a sender that must touch them (TLS).
///
/// What the page cache has comes from there. What it has not, and is large, is read around it (O_DIRECT) into
/// one small buffer: filling the cache with a file that is read once costs more than encrypting it, and pushes
/// out what others want. A file that somebody else reads too, or that was read not long ago, is popular and
/// goes through the cache. Blocks for a disk read of at most 512 KiB. One thread; the file outlives it.
class FilePieces {
  public:
    static constexpr std::size_t kPiece = 64 * 1024;

    FilePieces(int file, std::uint64_t offset, std::uint64_t size);
    ~FilePieces();
    FilePieces(const FilePieces&) = delete;
    FilePieces& operator=(const FilePieces&) = delete;

    /// At most kPiece bytes, good until the next call; empty: all of them were given. internal: the file is
    /// shorter than it should be, or cannot be read.
    Result<ByteView> next();

  private:
    struct Free {
        void operator()(std::byte* memory) const;
    };
    using Memory = std::unique_ptr<std::byte, Free>;
    static Memory allocate(std::size_t size);

    Result<ByteView> give(const std::byte* from, std::size_t count);
    bool may_go_direct();
    Result<ByteView> read_direct();
    Result<ByteView> read_cached();

    const int file_;
    std::uint64_t at_, left_;
    std::pair<std::uint64_t, std::uint64_t> identity_; ///< device and inode
    Memory piece_, block_;
    Fd direct_; ///< the same file, opened for reading around the cache
    bool direct_refused_ = false;
    std::uint64_t block_at_ = 0, block_size_ = 0; ///< what of the file `block_` holds
};

} // namespace consign::net
