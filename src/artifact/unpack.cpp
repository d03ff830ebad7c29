// Unpacking trusts nothing in the archive. Names and link targets are checked as text (entry_name.hpp), and
// every path is then walked part by part from the target's descriptor with O_NOFOLLOW: even a link that is in
// the tree redirects no write. Whatever exists already is a duplicate, because the target was empty.
#include "artifact/entry_name.hpp"
#include "artifact/tar_reader.hpp"
#include "consign/artifact/pack.hpp"
#include <algorithm>
#include <fcntl.h>
#include <format>
#include <sys/stat.h>
#include <unistd.h>
#include <unordered_set>

namespace consign::artifact {
namespace {

class Unpacker {
  public:
    explicit Unpacker(Fd root) : root_(std::move(root)) {}

    Result<void> entry(const TarEntry& entry, TarReader& tar, const std::stop_token& stop) {
        const auto slash = entry.name.rfind('/');
        const auto parent =
            slash == std::string::npos ? std::string_view() : std::string_view(entry.name).substr(0, slash);
        CONSIGN_CHECK(enter(parent, entry.name));
        const std::string base = entry.name.substr(slash == std::string::npos ? 0 : slash + 1);
        switch (entry.kind) {
        case EntryKind::directory:
            return directory(base, entry.name);
        case EntryKind::symlink:
            if (symlinkat(entry.link_target.c_str(), here(), base.c_str()) != 0)
                return cannot_make(entry.name);
            return {};
        case EntryKind::file:
            return file(base, entry, tar, stop);
        }
        return {};
    }

    /// One flush for all files: fsync of each would wait for the disk once per file.
    Result<void> flush() {
        if (syncfs(root_.get()) != 0) return fail_errno("cannot write the unpacked files to disk", errno);
        return {};
    }

  private:
    static constexpr std::size_t kMaxImplied = 10'000;

    int here() const { return parent_ ? parent_.get() : root_.get(); }

    std::unexpected<Error> cannot_make(std::string_view name) const {
        if (errno == EEXIST)
            return fail(Code::corrupt, std::format("the entry '{}' is in the archive twice", printable(name)),
                        "do not use this archive");
        return fail_errno(std::format("cannot unpack '{}'", printable(name)), errno);
    }

    /// Makes `path` the current directory. Entries come sorted, so it mostly is already, or is one step
    /// further.
    Result<void> enter(std::string_view path, std::string_view entry) {
        if (path == parent_path_) return {};
        const bool below =
            !parent_path_.empty() && path.starts_with(parent_path_) && path[parent_path_.size()] == '/';
        std::size_t done = below ? parent_path_.size() + 1 : 0;
        if (!below) parent_.reset();
        parent_path_.clear(); // until the walk has succeeded
        while (done < path.size()) {
            const auto end = std::min(path.find('/', done), path.size());
            CONSIGN_TRY(next, step(std::string(path.substr(done, end - done)),
                                   std::string(path.substr(0, end)), entry));
            parent_ = std::move(next);
            done = end + 1;
        }
        parent_path_ = path;
        return {};
    }

    Result<Fd> step(const std::string& part, const std::string& path, std::string_view entry) {
        for (bool made = false;; made = true) {
            Fd next(openat(here(), part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
            if (next) return next;
            if (errno == ENOTDIR || errno == ELOOP)
                return fail(Code::corrupt,
                            std::format("the entry '{}' lies below '{}', which is not a directory",
                                        printable(entry), printable(path)),
                            "do not use this archive");
            if (errno != ENOENT || made)
                return fail_errno(std::format("cannot unpack '{}'", printable(entry)), errno);
            if (mkdirat(here(), part.c_str(), 0755) != 0 || fchmodat(here(), part.c_str(), 0755, 0) != 0)
                return cannot_make(path);
            // They are not counted as entries, and one long name makes thousands: a small archive must not
            // fill memory or the inodes with them. Our own packer names every directory.
            if (implied_.size() == kMaxImplied)
                return fail(
                    Code::too_large,
                    std::format("the archive has more than {} directories without an entry", kMaxImplied));
            implied_.insert(path);
        }
    }

    Result<void> directory(const std::string& base, const std::string& name) {
        if (mkdirat(here(), base.c_str(), 0755) != 0) {
            // Its children may have come first and brought it into being.
            if (errno == EEXIST && implied_.erase(name) == 1) return {};
            return cannot_make(name);
        }
        if (fchmodat(here(), base.c_str(), 0755, 0) != 0) return cannot_make(name); // whatever the umask
        return {};
    }

    Result<void> file(const std::string& base, const TarEntry& entry, TarReader& tar,
                      const std::stop_token& stop) {
        const Fd fd(openat(here(), base.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!fd) return cannot_make(entry.name);
        for (;;) {
            if (stop.stop_requested()) return fail(Code::cancelled, "unpacking was cancelled");
            CONSIGN_TRY(piece, tar.content());
            if (piece.empty()) break;
            CONSIGN_CHECK(write_all(fd.get(), piece, entry.name));
        }
        // Only the executable bit travels: setuid and the like do not.
        if (fchmod(fd.get(), entry.executable ? 0755 : 0644) != 0) return cannot_make(entry.name);
        return {};
    }

    Fd root_;
    Fd parent_;                               ///< invalid: the root
    std::string parent_path_;                 ///< of parent_; empty: the root
    std::unordered_set<std::string> implied_; ///< directories that no entry has named yet
};

} // namespace

Result<void> unpack_layer(const std::filesystem::path& file, const std::filesystem::path& target,
                          UnpackLimits limits, std::stop_token stop) {
    CONSIGN_TRY(root, open_file(target, O_RDONLY | O_DIRECTORY));
    std::error_code error;
    if (!std::filesystem::is_empty(target, error) || error)
        return fail(Code::invalid_argument, std::format("'{}' is not empty", target.native()),
                    "unpack into a fresh directory");
    CONSIGN_TRY(layer, LayerReader::open(file, limits.max_bytes));
    TarReader tar(std::move(layer));
    Unpacker unpacker(std::move(root));
    const auto named = [&](Error failed) {
        return std::unexpected(with_context(std::move(failed), "'" + file.native() + "'"));
    };
    for (std::size_t entries = 0;; ++entries) {
        if (stop.stop_requested()) return fail(Code::cancelled, "unpacking was cancelled");
        auto entry = tar.next();
        if (!entry) return named(std::move(entry).error());
        if (!*entry) break;
        if (entries == limits.max_entries)
            return named(
                {Code::too_large, std::format("the archive has more than {} entries", limits.max_entries)});
        if ((*entry)->size > limits.max_bytes)
            return named({Code::too_large, std::format("the entry '{}' has {} bytes, more than are allowed",
                                                       printable((*entry)->name), (*entry)->size)});
        if (auto done = unpacker.entry(**entry, tar, stop); !done) return named(std::move(done).error());
    }
    return unpacker.flush();
}

} // namespace consign::artifact
