#pragma once
#include "consign/base/bytes.hpp"
#include <cstdint>
#include <filesystem>
#include <optional>
#include <sys/types.h>
#include <utility>

namespace consign {

/// Owns a file descriptor.
class Fd {
  public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        if (this != &other) {
            reset();
            fd_ = std::exchange(other.fd_, -1);
        }
        return *this;
    }
    ~Fd() { reset(); }
    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    int release() { return std::exchange(fd_, -1); }
    void reset();

  private:
    int fd_ = -1;
};

// All of these block: never on an I/O thread. Errors name the path.

Result<Fd> open_file(const std::filesystem::path& path, int flags,
                     mode_t mode = 0644); ///< O_CLOEXEC is added
Result<void> write_all(int fd, ByteView bytes, const std::filesystem::path& named);
Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit_bytes = 64u << 20);

/// Writes a temporary file beside `path`, fsyncs it, renames it, fsyncs the directory: after a crash
/// the old content or the new is there, never a mixture.
Result<void> write_file_atomic(const std::filesystem::path& path, ByteView bytes, mode_t mode = 0644);
Result<void> write_file_atomic(const std::filesystem::path& path, std::string_view text, mode_t mode = 0644);

Result<void> fsync_directory(const std::filesystem::path& directory);
Result<void> make_directories(const std::filesystem::path& path, mode_t mode = 0755);
Result<void> remove_tree(const std::filesystem::path& path); ///< fine if it is not there
Result<std::uint64_t> free_bytes(const std::filesystem::path& path);

/// An exclusive lock on DIRECTORY/lock, held until destroyed; `conflict` names the process that has it.
class DirectoryLock {
  public:
    static Result<DirectoryLock> acquire(const std::filesystem::path& directory);

  private:
    explicit DirectoryLock(Fd fd) : fd_(std::move(fd)) {}
    Fd fd_;
};

/// A fresh directory under $TMPDIR, removed with all its content on destruction.
class TemporaryDirectory {
  public:
    static Result<TemporaryDirectory> make(std::string_view prefix,
                                           const std::filesystem::path& parent = {}); ///< empty: $TMPDIR
    TemporaryDirectory(TemporaryDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    TemporaryDirectory& operator=(TemporaryDirectory&& other) noexcept {
        std::swap(path_, other.path_);
        return *this;
    }
    ~TemporaryDirectory();
    const std::filesystem::path& path() const { return path_; }

  private:
    explicit TemporaryDirectory(std::filesystem::path path) : path_(std::move(path)) {}
    std::filesystem::path path_;
};

} // namespace consign
