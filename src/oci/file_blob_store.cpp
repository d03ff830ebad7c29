// Bytes are written to uploads/<id>, hashed as they come, fsynced, and renamed to the name of their digest;
// then the directory is fsynced. So a file below blobs/ is always whole, and two uploads of the same content
// end as the same file. An interrupted upload is just a shorter file: its length is where the client goes on.
#include "file_blob_store.hpp"
#include "consign/base/log.hpp"
#include "consign/base/random.hpp"
#include "source.hpp"
#include "upload.hpp"
#include <chrono>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace consign::oci {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPieceBytes = 256 * 1024; // one trip to the pool; 0.2 ms of hashing
constexpr auto kUploadsExpireAfter = std::chrono::hours(7 * 24);

struct Paths {
    fs::path root, uploads;
    BlobPaths shape;

    fs::path blob(const Digest& digest) const {
        auto directory = root / "blobs" / std::string(digest.algorithm());
        if (shape == BlobPaths::fanned) directory /= std::string(digest.hex().substr(0, 2));
        return directory / std::string(digest.hex());
    }
    fs::path upload(const std::string& id) const { return uploads / id; }
};

using Claim = std::shared_ptr<UploadTable::Claim>;

std::unexpected<Error> unknown_upload(const std::string& id) {
    return fail(Code::not_found, "upload '" + id.substr(0, 64) + "' does not exist",
                "start the upload again");
}

Result<std::uint64_t> size_of(const Fd& file, const fs::path& path) {
    struct ::stat status{};
    if (::fstat(file.get(), &status) != 0) return fail_errno("stat " + path.string(), errno);
    return static_cast<std::uint64_t>(status.st_size);
}

Result<Fd> open_upload(const Paths& paths, const std::string& id, int flags) {
    auto file = open_file(paths.upload(id), flags);
    if (!file && file.error().code == Code::not_found) return unknown_upload(id);
    return file;
}

/// The hash of the first `size` bytes, read from the file.
Result<RunningHash> rehash(const Fd& file, std::uint64_t size, std::string_view algorithm,
                           const fs::path& path) {
    RunningHash out{.hasher = Hasher(algorithm), .size = 0};
    Bytes buffer(kPieceBytes);
    while (out.size < size) {
        const auto wanted = std::min<std::uint64_t>(buffer.size(), size - out.size);
        const auto got = ::pread(file.get(), buffer.data(), wanted, static_cast<off_t>(out.size));
        if (got <= 0) return fail_errno("read " + path.string(), got < 0 ? errno : EIO);
        out.hasher.update(ByteView(buffer).first(static_cast<std::size_t>(got)));
        out.size += static_cast<std::uint64_t>(got);
    }
    return out;
}

/// Makes `directory` and what is missing above it, each on disk in its parent.
Result<void> make_durable_directory(const fs::path& directory) {
    if (fs::exists(directory)) return {};
    const auto parent = directory.parent_path();
    CONSIGN_CHECK(make_durable_directory(parent));
    CONSIGN_CHECK(make_directories(directory));
    return fsync_directory(parent);
}

Result<std::uint64_t> finish_upload(const Paths& paths, const std::string& id, const Digest& expected,
                                    UploadTable::Claim& claim) {
    const auto path = paths.upload(id);
    CONSIGN_TRY(file, open_upload(paths, id, O_RDWR));
    CONSIGN_TRY(size, size_of(file, path));
    if (!claim.hash || claim.hash->size != size || expected.algorithm() != "sha256") {
        CONSIGN_TRY(again, rehash(file, size, expected.algorithm(), path));
        claim.hash = std::move(again);
    }
    const auto actual = claim.hash->hasher.finish();
    claim.forget();
    if (actual != expected) {
        ::unlink(path.c_str());
        return fail(Code::corrupt, "the uploaded bytes are " + actual.str() + ", not " + expected.str(),
                    "upload them again");
    }
    if (::fsync(file.get()) != 0) return fail_errno("fsync " + path.string(), errno);
    const auto target = paths.blob(expected);
    CONSIGN_CHECK(make_durable_directory(target.parent_path()));
    if (::rename(path.c_str(), target.c_str()) != 0)
        return fail_errno("rename " + path.string() + " to " + target.string(), errno);
    CONSIGN_CHECK(fsync_directory(target.parent_path()));
    return size;
}

class FileBlobStore final : public BlobStore {
  public:
    FileBlobStore(Paths paths, net::BlockingPool& pool)
        : paths_(std::make_shared<const Paths>(std::move(paths))), pool_(pool) {}

    net::Async<Result<std::optional<Stat>>> stat(Digest digest) override {
        co_return co_await pool_.run(
            [paths = paths_, digest = std::move(digest)]() -> Result<std::optional<Stat>> {
                struct ::stat status{};
                const auto path = paths->blob(digest);
                if (::stat(path.c_str(), &status) == 0)
                    return Stat{static_cast<std::uint64_t>(status.st_size)};
                if (errno == ENOENT) return std::nullopt;
                return fail_errno("stat " + path.string(), errno);
            });
    }

    net::Async<Result<net::FileBody>> open(Digest digest) override {
        co_return co_await pool_.run([paths = paths_, digest = std::move(digest)]() -> Result<net::FileBody> {
            const auto path = paths->blob(digest);
            CONSIGN_TRY(file, open_file(path, O_RDONLY));
            CONSIGN_TRY(size, size_of(file, path));
            return net::FileBody{
                .file = std::make_shared<const Fd>(std::move(file)), .offset = 0, .size = size};
        });
    }

    net::Async<Result<void>> remove(Digest digest) override {
        co_return co_await pool_.run([paths = paths_, digest = std::move(digest)]() -> Result<void> {
            const auto path = paths->blob(digest);
            if (::unlink(path.c_str()) != 0 && errno != ENOENT)
                return fail_errno("remove " + path.string(), errno);
            return {};
        });
    }

    net::Async<Result<std::string>> begin_upload() override {
        co_return co_await pool_.run([paths = paths_]() -> Result<std::string> {
            auto id = to_hex(random_bytes(16));
            CONSIGN_CHECK(make_directories(paths->uploads));
            CONSIGN_TRY(file, open_file(paths->upload(id), O_WRONLY | O_CREAT | O_EXCL));
            file.reset();
            return id;
        });
    }

    net::Async<Result<std::uint64_t>> upload_size(std::string upload) override {
        if (!is_upload_id(upload)) co_return unknown_upload(upload);
        co_return co_await pool_.run([paths = paths_, upload = std::move(upload)]() -> Result<std::uint64_t> {
            CONSIGN_TRY(file, open_upload(*paths, upload, O_RDONLY));
            return size_of(file, paths->upload(upload));
        });
    }

    net::Async<Result<std::uint64_t>> append(std::string upload, net::Source& content) override;

    net::Async<Result<std::uint64_t>> finish(std::string upload, Digest expected) override {
        if (!is_upload_id(upload)) co_return unknown_upload(upload);
        CONSIGN_CO_TRY(claim, UploadTable::claim(uploads_, upload));
        co_return co_await pool_.run([paths = paths_, upload, expected, claim = claim] {
            return finish_upload(*paths, upload, expected, *claim);
        });
    }

    net::Async<Result<void>> abandon(std::string upload) override {
        if (!is_upload_id(upload)) co_return unknown_upload(upload);
        CONSIGN_CO_TRY(claim, UploadTable::claim(uploads_, upload));
        claim->forget();
        co_return co_await pool_.run([paths = paths_, upload, claim = claim]() -> Result<void> {
            if (::unlink(paths->upload(upload).c_str()) == 0) return {};
            if (errno == ENOENT) return unknown_upload(upload);
            return fail_errno("remove upload " + upload, errno);
        });
    }

  private:
    struct Appending;
    std::shared_ptr<const Paths> paths_; // shared with work on the pool
    std::shared_ptr<UploadTable> uploads_ = std::make_shared<UploadTable>();
    net::BlockingPool& pool_;
};

/// One append in progress: shared with the pool, so that a cancelled request leaves nothing dangling.
struct FileBlobStore::Appending {
    std::shared_ptr<const Paths> paths;
    std::string id;
    Claim claim;
    Fd file = {};
    std::uint64_t start = 0, size = 0;
    Bytes buffer = Bytes(kPieceBytes);

    Result<void> open() {
        const auto path = paths->upload(id);
        CONSIGN_TRY(opened, open_upload(*paths, id, O_RDWR));
        file = std::move(opened);
        CONSIGN_TRY(length, size_of(file, path));
        start = size = length;
        if (claim->hash && claim->hash->size == size) return {};
        CONSIGN_TRY(again, rehash(file, size, "sha256", path));
        claim->hash = std::move(again);
        return {};
    }

    Result<void> write(std::size_t count) {
        const auto piece = ByteView(buffer).first(count);
        const auto path = paths->upload(id);
        if (::lseek(file.get(), static_cast<off_t>(size), SEEK_SET) < 0)
            return fail_errno("seek " + path.string(), errno);
        if (auto written = write_all(file.get(), piece, path); !written) {
            // Back to what was there before this request: it was acknowledged, this piece was not.
            claim->hash.reset();
            if (::ftruncate(file.get(), static_cast<off_t>(start)) != 0)
                log::warn("cannot shorten an upload after a failed write", {{"upload", id}});
            return written;
        }
        claim->hash->hasher.update(piece);
        size += count;
        claim->hash->size = size;
        return {};
    }
};

net::Async<Result<std::uint64_t>> FileBlobStore::append(std::string upload, net::Source& content) {
    if (!is_upload_id(upload)) co_return unknown_upload(upload);
    CONSIGN_CO_TRY(claim, UploadTable::claim(uploads_, upload));
    auto work = std::make_shared<Appending>(Appending{.paths = paths_, .id = upload, .claim = claim});
    CONSIGN_CO_CHECK(co_await pool_.run([work] { return work->open(); }));
    for (;;) {
        const auto filled = co_await read_full(content, work->buffer);
        if (filled.size > 0)
            CONSIGN_CO_CHECK(co_await pool_.run([work, count = filled.size] { return work->write(count); }));
        if (filled.error) co_return std::unexpected(*filled.error);
        if (filled.ended) co_return work->size;
    }
}

void drop_expired_uploads(const fs::path& uploads) {
    std::error_code ignored;
    const auto oldest = fs::file_time_type::clock::now() - kUploadsExpireAfter;
    for (const auto& entry : fs::directory_iterator(uploads, ignored))
        if (is_upload_id(entry.path().filename().string()) && entry.last_write_time(ignored) < oldest)
            fs::remove(entry.path(), ignored);
}

} // namespace

std::unique_ptr<BlobStore> make_file_blob_store(const fs::path& root, const fs::path& uploads,
                                                BlobPaths paths, net::BlockingPool& pool) {
    return std::make_unique<FileBlobStore>(Paths{root, uploads, paths}, pool);
}

Result<std::unique_ptr<BlobStore>> open_file_blob_store(const fs::path& root, net::BlockingPool& pool) {
    CONSIGN_CHECK(make_durable_directory(root / "blobs"));
    CONSIGN_CHECK(make_durable_directory(root / "uploads"));
    drop_expired_uploads(root / "uploads");
    return make_file_blob_store(root, root / "uploads", BlobPaths::fanned, pool);
}

net::Async<Result<void>> store_blob(BlobStore& store, Descriptor expected, net::Source& content) {
    CONSIGN_CO_TRY(upload, co_await store.begin_upload());
    auto size = co_await store.append(upload, content);
    if (size && *size != expected.size)
        size = fail(Code::corrupt,
                    std::format("{}: {} bytes instead of {}", expected.digest.str(), *size, expected.size));
    if (!size) {
        (void)co_await store.abandon(upload);
        co_return std::unexpected(std::move(size).error());
    }
    CONSIGN_CO_CHECK(co_await store.finish(upload, expected.digest));
    co_return Result<void>{};
}

net::Async<Result<std::string>> load_blob(BlobStore& store, Digest digest, net::BlockingPool& pool,
                                          std::size_t limit) {
    CONSIGN_CO_TRY(body, co_await store.open(digest));
    Descriptor expected;
    expected.digest = std::move(digest);
    expected.size = body.size;
    auto source = make_file_source(std::move(body), std::move(expected), pool);
    co_return co_await net::read_all(*source, limit);
}

} // namespace consign::oci
