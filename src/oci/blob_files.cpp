#include "blob_files.hpp"
#include "upload.hpp"
#include <cstdio>
#include <fcntl.h>
#include <format>
#include <sys/stat.h>
#include <unistd.h>

namespace consign::oci {

namespace {

namespace fs = std::filesystem;

std::string stamp_of(const struct ::stat& status) {
    return std::format("{}:{}.{:09}:{}", status.st_ino, status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                       status.st_size);
}

Time modified(const struct ::stat& status) {
    return from_millis(status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1'000'000);
}

/// Calls `each` per entry; a directory that is not there has none.
template <class F>
Result<void> for_each_entry(const fs::path& directory, F each) {
    std::error_code error;
    for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error))
        CONSIGN_CHECK(each(entry->path()));
    if (error && error != std::errc::no_such_file_or_directory)
        return fail_errno("list " + directory.string(), error.value());
    return {};
}

} // namespace

std::string stamp_of(const net::FileBody& body) {
    struct ::stat status {};
    return body.file && ::fstat(body.file->get(), &status) == 0 ? stamp_of(status) : std::string();
}

Result<void> make_durable_directory(const fs::path& directory) {
    std::error_code ignored;
    if (fs::exists(directory, ignored)) return {};
    const auto parent = directory.parent_path();
    CONSIGN_CHECK(make_durable_directory(parent));
    CONSIGN_CHECK(make_directories(directory));
    return fsync_directory(parent);
}

BlobFiles::BlobFiles(fs::path root, fs::path uploads, BlobPaths shape)
    : root_(std::move(root)), uploads_(std::move(uploads)), shape_(shape),
      expired_at_(std::chrono::steady_clock::now()) {}

fs::path BlobFiles::blob(const Digest& digest) const {
    auto directory = root_ / "blobs" / std::string(digest.algorithm());
    if (shape_ == BlobPaths::fanned) directory /= std::string(digest.hex().substr(0, 2));
    return directory / std::string(digest.hex());
}

fs::path BlobFiles::aside(std::string_view directory, const Digest& digest) const {
    return root_ / directory / (std::string(digest.algorithm()) + "-" + std::string(digest.hex()));
}

Result<BlobStore::Pin> BlobFiles::place(const fs::path& from, const Digest& digest) {
    const auto target = blob(digest);
    CONSIGN_CHECK(make_durable_directory(target.parent_path()));
    auto held = pin(digest);
    {
        const std::lock_guard lock(names_);
        if (::rename(from.c_str(), target.c_str()) != 0)
            return fail_errno("rename " + from.string() + " to " + target.string(), errno);
    }
    CONSIGN_CHECK(fsync_directory(target.parent_path()));
    if (shape_ == BlobPaths::fanned) ::unlink(aside("quarantine", digest).c_str()); // it is replaced
    return held;
}

Result<BlobStore::Pin> BlobFiles::place_new(const fs::path& from, const Digest& digest) {
    const auto target = blob(digest);
    CONSIGN_CHECK(make_durable_directory(target.parent_path()));
    auto held = pin(digest);
    const std::lock_guard lock(names_);
    if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE) == 0) {
        if (shape_ == BlobPaths::fanned) ::unlink(aside("quarantine", digest).c_str());
        return held;
    }
    if (errno == EEXIST || errno == EINVAL || errno == ENOSYS) return nullptr;
    return fail_errno("rename " + from.string() + " to " + target.string(), errno);
}

Result<void> BlobFiles::restore(const Digest& digest, std::string_view bytes) {
    const auto path = blob(digest);
    const auto there = read_file(path, bytes.size());
    if (there && *there == bytes) return {};
    CONSIGN_CHECK(make_durable_directory(path.parent_path()));
    return write_file_atomic(path, bytes);
}

Result<void> BlobFiles::sync() const {
    CONSIGN_TRY(directory, open_file(root_, O_RDONLY | O_DIRECTORY));
    if (::syncfs(directory.get()) != 0) return fail_errno("sync " + root_.string(), errno);
    return {};
}

BlobStore::Pin BlobFiles::pin(const Digest& digest) {
    const std::lock_guard lock(names_);
    const std::lock_guard pins(pins_mutex_);
    ++pins_[digest];
    // One object whose end is the unpin: shared_ptr's deleter is that, without a class.
    return {static_cast<void*>(this), [self = shared_from_this(), digest](void*) { self->unpin(digest); }};
}

void BlobFiles::unpin(const Digest& digest) {
    const std::lock_guard pins(pins_mutex_);
    const auto found = pins_.find(digest);
    if (found != pins_.end() && --found->second == 0) pins_.erase(found);
}

Result<bool> BlobFiles::discard(const Digest& digest) {
    const std::lock_guard lock(names_);
    {
        const std::lock_guard pins(pins_mutex_);
        if (pins_.contains(digest)) return false;
    }
    const auto path = blob(digest);
    ::unlink(aside("quarantine", digest).c_str());
    if (::rename(path.c_str(), aside("trash", digest).c_str()) != 0 && errno != ENOENT)
        return fail_errno("move " + path.string() + " to the trash", errno);
    return true;
}

Result<void> BlobFiles::purge() const {
    return for_each_entry(root_ / "trash", [](const fs::path& path) -> Result<void> {
        if (::unlink(path.c_str()) != 0 && errno != ENOENT)
            return fail_errno("remove " + path.string(), errno);
        return {};
    });
}

Result<bool> BlobFiles::quarantine(const Digest& digest, const std::string& stamp) {
    const auto path = blob(digest);
    CONSIGN_CHECK(make_durable_directory(root_ / "quarantine"));
    const std::lock_guard lock(names_);
    struct ::stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        if (errno == ENOENT) return false;
        return fail_errno("stat " + path.string(), errno);
    }
    if (stamp_of(status) != stamp) return false; // repaired meanwhile
    if (::rename(path.c_str(), aside("quarantine", digest).c_str()) != 0)
        return fail_errno("move " + path.string() + " to quarantine", errno);
    return true;
}

Result<std::vector<BlobStore::Listed>> BlobFiles::list(unsigned shard) const {
    std::vector<BlobStore::Listed> out;
    const auto prefix = std::format("{:02x}", shard);
    for (const std::string algorithm : {"sha256", "sha512"}) {
        auto directory = root_ / "blobs" / algorithm;
        if (shape_ == BlobPaths::fanned) directory /= prefix;
        CONSIGN_CHECK(for_each_entry(directory, [&](const fs::path& path) -> Result<void> {
            const auto name = path.filename().string();
            auto digest = Digest::parse(algorithm + ":" + name);
            struct ::stat status {};
            if (!name.starts_with(prefix) || !digest || ::stat(path.c_str(), &status) != 0 ||
                !S_ISREG(status.st_mode))
                return {};
            out.push_back({*digest, static_cast<std::uint64_t>(status.st_size), modified(status)});
            return {};
        }));
    }
    return out;
}

bool BlobFiles::expiry_is_due() {
    const auto now = std::chrono::steady_clock::now();
    const std::lock_guard lock(names_);
    if (now - expired_at_ < std::chrono::hours(1)) return false;
    expired_at_ = now;
    return true;
}

Result<std::size_t> BlobFiles::expire_uploads(std::chrono::seconds idle) const {
    std::size_t gone = 0;
    const auto oldest = SystemClock().now() - idle;
    CONSIGN_CHECK(for_each_entry(uploads_, [&](const fs::path& path) -> Result<void> {
        struct ::stat status {};
        if (!is_upload_id(path.filename().string()) || ::stat(path.c_str(), &status) != 0 ||
            modified(status) > oldest)
            return {};
        if (::unlink(path.c_str()) == 0) ++gone;
        return {};
    }));
    return gone;
}

} // namespace consign::oci
