#include "net/file_pieces.hpp"
#include <algorithm>
#include <cerrno>
#include <deque>
#include <fcntl.h>
#include <format>
#include <map>
#include <mutex>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace consign::net {

namespace {

using Identity = std::pair<std::uint64_t, std::uint64_t>;

constexpr std::size_t kAlign = 4096; // what O_DIRECT wants addresses, offsets and sizes in multiples of
constexpr std::size_t kBlock = 512 * 1024;
constexpr std::uint64_t kLarge = 8u << 20; // below, the cache is cheap and what it holds is likely wanted again
constexpr std::size_t kRemembered = 64;

/// Which files are being read now and which were read around the cache lately. Any thread.
class Popularity {
  public:
    void begin(Identity file) {
        std::lock_guard lock(mutex_);
        ++readers_[file];
    }
    void end(Identity file, bool went_direct) {
        std::lock_guard lock(mutex_);
        if (const auto at = readers_.find(file); --at->second == 0) readers_.erase(at);
        if (!went_direct) return;
        std::erase(lately_, file);
        lately_.push_back(file);
        if (lately_.size() > kRemembered) lately_.pop_front();
    }
    bool popular(Identity file) {
        std::lock_guard lock(mutex_);
        return readers_[file] > 1 || std::ranges::contains(lately_, file);
    }

  private:
    std::mutex mutex_;
    std::map<Identity, int> readers_;
    std::deque<Identity> lately_;
};

Popularity& popularity() {
    static Popularity all;
    return all;
}

Error cannot_read(int error) { return fail_errno("cannot read a file to send", error).error(); }

} // namespace

void FilePieces::Free::operator()(std::byte* memory) const {
    ::operator delete(memory, std::align_val_t(kAlign));
}

FilePieces::Memory FilePieces::allocate(std::size_t size) {
    return Memory(static_cast<std::byte*>(::operator new(size, std::align_val_t(kAlign))));
}

FilePieces::FilePieces(int file, std::uint64_t offset, std::uint64_t size)
    : file_(file), at_(offset), left_(size), direct_refused_(size < kLarge) {
    struct stat status{};
    if (::fstat(file, &status) != 0) direct_refused_ = true;
    identity_ = {status.st_dev, status.st_ino};
    popularity().begin(identity_);
}

FilePieces::~FilePieces() { popularity().end(identity_, static_cast<bool>(direct_)); }

Result<ByteView> FilePieces::give(const std::byte* from, std::size_t count) {
    at_ += count;
    left_ -= count;
    return ByteView(from, count);
}

Result<ByteView> FilePieces::next() {
    if (left_ == 0) return ByteView{};
    if (at_ >= block_at_ && at_ < block_at_ + block_size_) {
        const auto have = std::min<std::uint64_t>({block_at_ + block_size_ - at_, left_, kPiece});
        return give(block_.get() + (at_ - block_at_), static_cast<std::size_t>(have));
    }
    if (!piece_) piece_ = allocate(kPiece);
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(left_, kPiece));
    const iovec into{piece_.get(), wanted};
    const ssize_t cached =
        direct_refused_ ? -1 : ::preadv2(file_, &into, 1, static_cast<off_t>(at_), RWF_NOWAIT);
    if (cached > 0) return give(piece_.get(), static_cast<std::size_t>(cached));
    return may_go_direct() ? read_direct() : read_cached();
}

bool FilePieces::may_go_direct() {
    if (direct_refused_ || popularity().popular(identity_)) return false;
    if (direct_) return true;
    // By this name, because the flags of file_ belong to all who share it.
    direct_ = Fd(::open(std::format("/proc/self/fd/{}", file_).c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
    direct_refused_ = !direct_;
    if (direct_) block_ = allocate(kBlock);
    return static_cast<bool>(direct_);
}

Result<ByteView> FilePieces::read_direct() {
    block_at_ = at_ / kAlign * kAlign;
    block_size_ = 0;
    for (;;) {
        const ssize_t got = ::pread(direct_.get(), block_.get(), kBlock, static_cast<off_t>(block_at_));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EINVAL) { // a file system that opens so, and reads not
            direct_refused_ = true;
            return read_cached();
        }
        if (got < 0) return std::unexpected(cannot_read(errno));
        block_size_ = static_cast<std::uint64_t>(got);
        if (at_ >= block_at_ + block_size_)
            return fail(Code::internal, "a file ended before the size it was announced with");
        return next();
    }
}

Result<ByteView> FilePieces::read_cached() {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(left_, kPiece));
    for (;;) {
        const ssize_t got = ::pread(file_, piece_.get(), wanted, static_cast<off_t>(at_));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return std::unexpected(cannot_read(errno));
        if (got == 0) return fail(Code::internal, "a file ended before the size it was announced with");
        return give(piece_.get(), static_cast<std::size_t>(got));
    }
}

} // namespace consign::net
