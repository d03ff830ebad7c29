#include "consign/base/file.hpp"
#include "consign/base/log.hpp"
#include "consign/base/random.hpp"
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace consign {
namespace {

namespace fs = std::filesystem;

std::string quoted(std::string_view doing, const fs::path& path) {
    return "cannot " + std::string(doing) + " '" + path.string() + "'";
}

/// A name no other writer uses: two writers of one path must not share a temporary file.
fs::path temporary_beside(const fs::path& path) {
    return path.parent_path() / ("." + path.filename().string() + ".tmp-" + to_hex(random_bytes(8)));
}

} // namespace

void Fd::reset() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1)); // not repeated on EINTR: Linux has closed it by then
}

Result<Fd> open_file(const fs::path& path, int flags, mode_t mode) {
    for (;;) {
        Fd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
        if (fd) return fd;
        if (errno != EINTR) return fail_errno(quoted("open", path), errno);
    }
}

Result<void> write_all(int fd, ByteView bytes, const fs::path& named) {
    while (!bytes.empty()) {
        const auto written = ::write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return fail_errno(quoted("write", named), errno);
        bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return {};
}

Result<std::string> read_file(const fs::path& path, std::size_t limit_bytes) {
    CONSIGN_TRY(fd, open_file(path, O_RDONLY));
    struct stat status{};
    if (::fstat(fd.get(), &status) != 0) return fail_errno(quoted("read", path), errno);
    std::string out;
    // The size is a hint only: files in /proc say 0, and a file may grow while it is read.
    std::size_t room = std::min<std::size_t>(static_cast<std::size_t>(status.st_size), limit_bytes) + 1;
    for (;;) {
        const auto filled = out.size();
        out.resize(filled + room);
        const auto got = ::read(fd.get(), out.data() + filled, room);
        out.resize(filled + (got > 0 ? static_cast<std::size_t>(got) : 0));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(quoted("read", path), errno);
        if (out.size() > limit_bytes)
            return fail(Code::too_large, "'" + path.string() + "' is larger than the " +
                                             std::to_string(limit_bytes) + " bytes allowed here");
        if (got == 0) return out;
        room = std::min<std::size_t>(64u << 10, limit_bytes - out.size() + 1);
    }
}

Result<void> write_file_atomic(const fs::path& path, ByteView bytes, mode_t mode) {
    const auto temporary = temporary_beside(path);
    const auto write = [&]() -> Result<void> {
        CONSIGN_TRY(fd, open_file(temporary, O_WRONLY | O_CREAT | O_EXCL, mode));
        CONSIGN_CHECK(write_all(fd.get(), bytes, path));
        if (::fsync(fd.get()) != 0) return fail_errno(quoted("write to disk", path), errno);
        // close() reports errors too on network file systems, and fsync has seen those.
        if (::rename(temporary.c_str(), path.c_str()) != 0) return fail_errno(quoted("replace", path), errno);
        return {};
    };
    if (auto written = write(); !written) {
        ::unlink(temporary.c_str());
        return written;
    }
    return fsync_directory(path.parent_path());
}

Result<void> write_file_atomic(const fs::path& path, std::string_view text, mode_t mode) {
    return write_file_atomic(path, as_bytes(text), mode);
}

Result<void> fsync_directory(const fs::path& directory) {
    const fs::path named = directory.empty() ? "." : directory; // the parent of a bare file name
    CONSIGN_TRY(fd, open_file(named, O_RDONLY | O_DIRECTORY));
    if (::fsync(fd.get()) != 0) return fail_errno(quoted("write to disk the directory", named), errno);
    return {};
}

Result<void> make_directories(const fs::path& path, mode_t mode) {
    std::error_code ignored;
    if (path.empty() || fs::is_directory(path, ignored)) return {};
    fs::path partial;
    for (const auto& part : path) {
        partial /= part;
        if (::mkdir(partial.c_str(), mode) != 0 && errno != EEXIST)
            return fail_errno(quoted("make the directory", partial), errno);
    }
    if (!fs::is_directory(path, ignored))
        return fail(Code::conflict,
                    quoted("make the directory", path) + ": a file of that name is in the way",
                    "move that file away, or choose another directory");
    return {};
}

Result<void> remove_tree(const fs::path& path) {
    std::error_code error;
    fs::remove_all(path, error); // removes symlinks themselves, never what they point to
    if (error && error != std::errc::no_such_file_or_directory)
        return fail_errno(quoted("remove", path), error.value());
    return {};
}

Result<std::uint64_t> free_bytes(const fs::path& path) {
    struct statvfs status{};
    if (::statvfs(path.c_str(), &status) != 0)
        return fail_errno(quoted("learn the free space of", path), errno);
    return std::uint64_t(status.f_bavail) * status.f_frsize; // what is left to ordinary users
}

// flock, not fcntl: the lock belongs to this open file, so that closing some other descriptor of the
// file does not drop it, and a second acquire in the same process is refused like any other.
Result<DirectoryLock> DirectoryLock::acquire(const fs::path& directory) {
    const auto path = directory / "lock";
    CONSIGN_TRY(fd, open_file(path, O_RDWR | O_CREAT, 0644));
    while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EINTR) continue;
        if (errno != EWOULDBLOCK) return fail_errno(quoted("lock", path), errno);
        char text[16] = {};
        const auto size = std::max<ssize_t>(::pread(fd.get(), text, sizeof text, 0), 0);
        long pid = 0;
        std::from_chars(text, text + size, pid);
        const std::string holder = pid > 0 ? "process " + std::to_string(pid) : "another process";
        return fail(Code::conflict, "'" + directory.string() + "' is in use by " + holder,
                    "stop that process first, or choose another data directory");
    }
    const std::string pid = std::to_string(::getpid()) + "\n";
    if (::ftruncate(fd.get(), 0) != 0) return fail_errno(quoted("write", path), errno);
    CONSIGN_CHECK(write_all(fd.get(), as_bytes(pid), path));
    // The file stays when the lock goes: removing it would let two processes lock two files of one name.
    return DirectoryLock(std::move(fd));
}

Result<TemporaryDirectory> TemporaryDirectory::make(std::string_view prefix, const fs::path& parent) {
    std::error_code error;
    const fs::path base = parent.empty() ? fs::temp_directory_path(error) : parent;
    if (error)
        return fail(Code::not_found, "there is no directory for temporary files: " + error.message(),
                    "set TMPDIR to a directory that exists");
    std::string path = (base / (std::string(prefix) + "-XXXXXX")).string();
    if (!::mkdtemp(path.data())) return fail_errno(quoted("make a temporary directory in", base), errno);
    return TemporaryDirectory(path);
}

TemporaryDirectory::~TemporaryDirectory() {
    if (path_.empty()) return;
    if (auto removed = remove_tree(path_); !removed) log::warn(removed.error().message);
}

} // namespace consign
