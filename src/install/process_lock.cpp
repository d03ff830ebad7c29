#include "install/process_lock.hpp"
#include "install/process_stat.hpp"
#include <charconv>
#include <fcntl.h>
#include <sstream>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace consign::install {
namespace {

namespace fs = std::filesystem;

std::optional<pid_t> parent_of(pid_t pid) {
    const auto stat = stat_of(pid);
    return stat ? std::optional(stat->parent) : std::nullopt;
}

bool runs_our_program(pid_t pid) {
    std::error_code error;
    const auto theirs = fs::read_symlink("/proc/" + std::to_string(pid) + "/exe", error);
    if (error) return false;
    const auto ours = fs::read_symlink("/proc/self/exe", error);
    return !error && theirs == ours;
}

/// proc_pid_fdinfo(5): a descriptor has a "lock:" line only if the flock was taken through its own open file
/// description, here or in a process that it was inherited from. Whoever opened the file anew (a backup, a
/// curious tail) has none.
bool shows_flock(const fs::path& fdinfo) {
    const auto text = read_file(fdinfo, 64u << 10);
    if (!text) return false;
    std::istringstream lines(*text);
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with("lock:") && line.contains(" FLOCK ")) return true;
    return false;
}

bool holds_lock(pid_t pid, const struct stat& file) {
    const fs::path process = "/proc/" + std::to_string(pid);
    std::error_code error;
    fs::directory_iterator it(process / "fd", error);
    for (; !error && it != fs::directory_iterator(); it.increment(error)) {
        struct stat open_file{};
        if (::stat(it->path().c_str(), &open_file) == 0 && open_file.st_dev == file.st_dev &&
            open_file.st_ino == file.st_ino && shows_flock(process / "fdinfo" / it->path().filename()))
            return true;
    }
    return false;
}

/// A child of ours that has not yet exec'ed has the lock for a moment only because fork copied it.
bool is_our_fork(pid_t pid) {
    return parent_of(pid) == ::getpid() && runs_our_program(pid);
}

} // namespace

Result<std::optional<Fd>> try_lock(const fs::path& file) {
    CONSIGN_TRY(fd, open_file(file, O_RDWR | O_CREAT, 0600));
    while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EINTR) continue;
        if (errno == EWOULDBLOCK) return std::nullopt;
        return fail_errno("cannot lock '" + file.string() + "'", errno);
    }
    return std::move(fd);
}

std::vector<pid_t> lock_holders(const fs::path& lock) {
    std::vector<pid_t> out;
    struct stat file{};
    if (::stat(lock.c_str(), &file) != 0) return out;
    std::error_code error;
    for (fs::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
        const auto name = it->path().filename().string();
        pid_t pid = 0;
        const auto [rest, problem] = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (problem != std::errc() || rest != name.data() + name.size() || pid == ::getpid()) continue;
        if (holds_lock(pid, file) && !is_our_fork(pid)) out.push_back(pid);
    }
    return out;
}

void signal_lock_holders(const fs::path& lock, int signal) {
    struct stat file{};
    if (::stat(lock.c_str(), &file) != 0) return;
    for (const auto pid : lock_holders(lock)) {
        const auto pidfd = open_pidfd(pid);
        // Asked again: now the number cannot change hands unseen.
        if (pidfd && holds_lock(pid, file)) ::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0);
    }
}

Fd open_pidfd(pid_t pid) {
    // By number: <sys/pidfd.h> of glibc 2.36 lacks its extern "C". The kernel sets close-on-exec.
    return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

} // namespace consign::install
