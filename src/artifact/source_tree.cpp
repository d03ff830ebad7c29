#include "artifact/source_tree.hpp"
#include "artifact/entry_name.hpp"
#include <algorithm>
#include <dirent.h>
#include <fcntl.h>
#include <format>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

namespace consign::artifact {
namespace {

// A directory stays open while its children are read; this many fit beside everything else under the usual
// limit of 1024 descriptors.
constexpr std::size_t kDepthLimit = 256;

struct Child {
    std::string name;
    std::string sort_key; ///< the name as the archive has it: a directory ends in '/'
    struct stat stat;
};

struct CloseDirectory {
    void operator()(DIR* directory) const { closedir(directory); }
};

class Walk {
  public:
    Walk(const std::filesystem::path& root, int not_this, std::stop_token stop, const OnEntry& on_entry)
        : root_(root), stop_(std::move(stop)), on_entry_(on_entry) {
        if (not_this >= 0 && fstat(not_this, &not_this_) != 0) not_this_ = {};
    }

    Result<void> directory(Fd fd, const std::string& path, std::size_t depth) {
        if (depth > kDepthLimit)
            return refuse(path, std::format("lies deeper than {} directories", kDepthLimit));
        CONSIGN_TRY(children, list(fd.get(), path));
        for (const auto& child : children) {
            if (stop_.stop_requested()) return fail(Code::cancelled, "packing was cancelled");
            const auto name = path.empty() ? child.name : path + "/" + child.name;
            if (const auto fault = fault_of_name(name); !fault.empty())
                return refuse(name, "the name " + fault, "rename it");
            CONSIGN_CHECK(entry(fd.get(), child, name, depth));
        }
        return {};
    }

  private:
    std::string shown(std::string_view name) const { return "'" + printable((root_ / name).native()) + "'"; }
    std::unexpected<Error> refuse(std::string_view name, std::string_view why, std::string hint = {}) const {
        return fail(Code::invalid_argument, std::format("{}: {}", shown(name), why), std::move(hint));
    }
    std::unexpected<Error> unreadable(std::string_view name, int error) const {
        auto failed = fail_errno("cannot read " + shown(name), error);
        if (failed.error().code == Code::permission_denied)
            failed.error().hint = "make it readable for the user that packs, or take it out of the directory";
        return failed;
    }

    Result<std::vector<Child>> list(int fd, const std::string& path) const {
        Fd own(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!own) return unreadable(path, errno);
        const std::unique_ptr<DIR, CloseDirectory> stream(fdopendir(own.get()));
        if (!stream) return unreadable(path, errno);
        own.release(); // closedir() closes it
        std::vector<Child> children;
        for (;;) {
            errno = 0;
            const auto* found = readdir(stream.get());
            if (!found && errno != 0) return unreadable(path, errno);
            if (!found) break;
            Child child{found->d_name, {}, {}};
            if (child.name == "." || child.name == ".." || (path.empty() && child.name == ".git")) continue;
            if (fstatat(fd, child.name.c_str(), &child.stat, AT_SYMLINK_NOFOLLOW) != 0)
                return unreadable(path.empty() ? child.name : path + "/" + child.name, errno);
            child.sort_key = child.name + (S_ISDIR(child.stat.st_mode) ? "/" : "");
            children.push_back(std::move(child));
        }
        // std::string compares as unsigned bytes, whatever the locale.
        std::ranges::sort(children, {}, &Child::sort_key);
        return children;
    }

    Result<void> entry(int parent, const Child& child, const std::string& name, std::size_t depth) {
        const auto mode = child.stat.st_mode;
        if (S_ISREG(mode)) return file(parent, child, name);
        if (S_ISLNK(mode)) return symlink(parent, child, name);
        if (S_ISDIR(mode)) {
            CONSIGN_CHECK(on_entry_({.kind = EntryKind::directory, .name = name}, -1));
            Fd fd(openat(parent, child.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
            if (!fd) return unreadable(name, errno);
            return directory(std::move(fd), name, depth + 1);
        }
        const auto* kind = S_ISSOCK(mode) ? "a socket" : S_ISFIFO(mode) ? "a named pipe" : "a device";
        return refuse(name,
                      std::format("is {}; an artifact holds only files, directories and symlinks", kind),
                      "take it out of the directory");
    }

    Result<void> file(int parent, const Child& child, const std::string& name) {
        // O_NONBLOCK: if a fifo took the file's place, open() must not wait for a writer.
        const Fd fd(openat(parent, child.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
        if (!fd) return unreadable(name, errno);
        struct stat before{}, after{};
        if (fstat(fd.get(), &before) != 0) return unreadable(name, errno);
        if (before.st_dev == not_this_.st_dev && before.st_ino == not_this_.st_ino)
            return refuse(name, "the archive would hold itself",
                          "write it outside of the directory that is packed");
        const auto size = static_cast<std::uint64_t>(before.st_size);
        if (!S_ISREG(before.st_mode)) return changed(name);
        CONSIGN_CHECK(on_entry_({.kind = EntryKind::file,
                                 .name = name,
                                 .size = size,
                                 .executable = (before.st_mode & S_IXUSR) != 0},
                                fd.get()));
        if (fstat(fd.get(), &after) != 0) return unreadable(name, errno);
        if (after.st_size != before.st_size || after.st_mtim.tv_sec != before.st_mtim.tv_sec ||
            after.st_mtim.tv_nsec != before.st_mtim.tv_nsec)
            return changed(name);
        return {};
    }

    std::unexpected<Error> changed(std::string_view name) const {
        return fail(Code::conflict, shown(name) + " changed while it was read",
                    "pack again when nothing writes there");
    }

    Result<void> symlink(int parent, const Child& child, const std::string& name) {
        std::string target(kNameLimit + 1, '\0');
        const auto length = readlinkat(parent, child.name.c_str(), target.data(), target.size());
        if (length < 0) return unreadable(name, errno);
        target.resize(static_cast<std::size_t>(length));
        if (const auto fault = fault_of_link(name, target); !fault.empty())
            return refuse(
                name, std::format("its link target '{}' {}", printable(target), fault),
                "link to a path inside the directory, relative to the link, with '..' only at its beginning");
        return on_entry_({.kind = EntryKind::symlink, .name = name, .link_target = target}, -1);
    }

    const std::filesystem::path& root_;
    struct stat not_this_{};
    std::stop_token stop_;
    const OnEntry& on_entry_;
};

} // namespace

Result<void> walk_tree(const std::filesystem::path& directory, int not_this, std::stop_token stop,
                       const OnEntry& on_entry) {
    CONSIGN_TRY(root, open_file(directory, O_RDONLY | O_DIRECTORY));
    return Walk(directory, not_this, std::move(stop), on_entry).directory(std::move(root), "", 0);
}

} // namespace consign::artifact
