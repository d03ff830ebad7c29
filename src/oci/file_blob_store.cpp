// Bytes are written to uploads/<id>, hashed as they come, fsynced, and renamed to the name of their digest;
// then the directory is fsynced. So a file below blobs/ is always whole, and two uploads of the same content
// end as the same file. An interrupted upload is just a shorter file: its length is where the client goes on.
#include "file_blob_store.hpp"
#include "consign/base/log.hpp"
#include "consign/base/random.hpp"
#include "source.hpp"
#include "upload.hpp"
#include <fcntl.h>
#include <format>
#include <new>
#include <sys/stat.h>
#include <unistd.h>

namespace consign::oci {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPieceBytes = 512 * 1024;     // one trip to the pool; 0.4 ms of hashing
constexpr std::size_t kFirstPieceBytes = 32 * 1024; // most uploads are small
constexpr std::size_t kBlock = 4096; // what O_DIRECT wants addresses, offsets and sizes in multiples of
// What is hashed again goes in longer stretches, 6 to 10 ms each: others wait for the same few threads.
constexpr std::uint64_t kRehashBytes = 8u << 20;

using Claim = std::shared_ptr<UploadTable::Claim>;

std::unexpected<Error> unknown_upload(const std::string& id) {
    return fail(Code::not_found, "upload '" + id.substr(0, 64) + "' does not exist",
                "start the upload again");
}

Result<std::uint64_t> size_of(const Fd& file, const fs::path& path) {
    struct ::stat status {};
    if (::fstat(file.get(), &status) != 0) return fail_errno("stat " + path.string(), errno);
    return static_cast<std::uint64_t>(status.st_size);
}

Result<Fd> open_upload(const BlobFiles& files, const std::string& id, int flags) {
    auto file = open_file(files.upload(id), flags);
    if (!file && file.error().code == Code::not_found) return unknown_upload(id);
    return file;
}

/// Memory for pieces: aligned for O_DIRECT, and not cleared when it is made.
class PieceBuffer {
  public:
    void reserve(std::size_t size) {
        if (size <= size_) return;
        memory_.reset(static_cast<std::byte*>(::operator new(size, std::align_val_t(kBlock))));
        size_ = size;
    }
    std::span<std::byte> all() { return {memory_.get(), size_}; }

  private:
    struct Free {
        void operator()(std::byte* memory) const { ::operator delete(memory, std::align_val_t(kBlock)); }
    };
    std::unique_ptr<std::byte, Free> memory_;
    std::size_t size_ = 0;
};

/// One append or finish in progress: shared with the pool, so that a cancelled request leaves nothing
/// dangling.
struct Work {
    std::shared_ptr<BlobFiles> files;
    std::string id;
    Claim claim;
    std::uint64_t free_floor = 0;
    Fd file = {};
    std::string wanted_algorithm = {}; ///< of an append's running hash
    bool begun = false;                ///< the first piece is written
    std::uint64_t start = 0, size = 0;
    PieceBuffer buffer = {};
    bool direct = false, may_be_direct = true; ///< O_DIRECT: now set on the file; not refused so far

    fs::path path() const { return files->upload(id); }

    Result<void> open() {
        CONSIGN_TRY(opened, open_upload(*files, id, O_RDWR));
        file = std::move(opened);
        CONSIGN_TRY(length, size_of(file, path()));
        start = size = length;
        return {};
    }

    bool is_hashed(std::string_view algorithm) const {
        return claim->hash && claim->hash->algorithm == algorithm && claim->hash->size == size;
    }

    /// Opens the file and, unless what is in it has to be hashed first, goes on with `count` bytes of the
    /// buffer: one trip to the pool for a small upload.
    Result<void> begin(std::size_t count) {
        CONSIGN_CHECK(open());
        if (size > 0 && claim->hash) wanted_algorithm = claim->hash->algorithm; // it has begun
        if (size == 0) claim->hash.emplace(wanted_algorithm);
        if (!is_hashed(wanted_algorithm)) return {};
        if (count > 0) CONSIGN_CHECK(write(count));
        begun = true;
        return {};
    }

    /// Whether the running hash is of `algorithm` and covers the file; if not, some more of it. Call until
    /// true.
    Result<bool> hash_some(std::string_view algorithm) {
        auto& hash = claim->hash;
        if (!hash || hash->algorithm != algorithm || hash->size > size) hash.emplace(algorithm);
        buffer.reserve(kPieceBytes);
        const auto piece = buffer.all();
        const auto until = std::min(size, hash->size + kRehashBytes);
        while (hash->size < until) {
            const auto wanted = std::min<std::uint64_t>(piece.size(), until - hash->size);
            const auto got = ::pread(file.get(), piece.data(), wanted, static_cast<off_t>(hash->size));
            if (got <= 0) return fail_errno("read " + path().string(), got < 0 ? errno : EIO);
            hash->hasher.update(piece.first(static_cast<std::size_t>(got)));
            hash->size += static_cast<std::uint64_t>(got);
        }
        return hash->size == size;
    }

    Result<void> write(std::size_t count) {
        const ByteView piece = buffer.all().first(count);
        auto written = room_for(count);
        if (written) written = store(piece);
        if (!written) {
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

    /// `sync_later`: all of it is in the buffer, and may be given out with the result instead of being
    /// synced.
    Result<BlobStore::Finished> finish(const Digest& expected, bool sync_later = false) {
        const auto actual = claim->hash->hasher.finish();
        claim->forget();
        if (actual != expected) {
            ::unlink(path().c_str());
            return fail(Code::corrupt, "the uploaded bytes are " + actual.str() + ", not " + expected.str(),
                        "upload them again");
        }
        BlobStore::Finished out{.size = size, .stamp = {}, .pin = {}};
        if (sync_later) {
            CONSIGN_TRY(placed, files->place_new(path(), expected));
            out.pin = std::move(placed);
            if (out.pin) out.unsynced = as_text(buffer.all().first(static_cast<std::size_t>(size)));
        }
        if (!out.pin) {
            if (::fsync(file.get()) != 0) return fail_errno("fsync " + path().string(), errno);
            CONSIGN_TRY(placed, files->place(path(), expected));
            out.pin = std::move(placed);
        }
        out.stamp = stamp_of({.file = std::make_shared<const Fd>(std::move(file)), .size = size});
        return out;
    }

  private:
    // A large blob goes to the disk past the page cache. Copying it there costs as much as half of its hash,
    // and would push out what others read; whoever pulls it first reads it from the disk, and everybody after
    // that from memory.
    Result<void> store(ByteView piece) {
        set_direct(may_be_direct && piece.size() >= kPieceBytes && piece.size() % kBlock == 0 &&
                   size % kBlock == 0);
        for (;;) {
            if (::lseek(file.get(), static_cast<off_t>(size), SEEK_SET) < 0)
                return fail_errno("seek " + path().string(), errno);
            const auto written = write_all(file.get(), piece, path());
            if (written || !direct) return written;
            may_be_direct =
                false; // not every file system can (EINVAL), and what else is wrong will show again
            set_direct(false);
        }
    }
    void set_direct(bool wanted) {
        if (wanted == direct) return;
        const int flags = ::fcntl(file.get(), F_GETFL);
        if (flags >= 0 && ::fcntl(file.get(), F_SETFL, wanted ? flags | O_DIRECT : flags & ~O_DIRECT) == 0)
            direct = wanted;
        else
            may_be_direct = false;
    }

    Result<void> room_for(std::size_t count) const {
        if (free_floor == 0) return {};
        CONSIGN_TRY(left, free_bytes(files->root()));
        if (left >= free_floor + count) return {};
        return fail(Code::storage_full,
                    std::format("the registry's disk has {} MiB left and keeps {} MiB free", left >> 20,
                                free_floor >> 20),
                    "free some space there, then push again");
    }
};

class FileBlobStore final : public BlobStore {
  public:
    FileBlobStore(std::shared_ptr<BlobFiles> files, BlobPaths shape, net::BlockingPool& pool,
                  BlobStoreOptions options)
        : files_(std::move(files)), shape_(shape), pool_(pool), options_(options) {}

    net::Async<Result<std::optional<Stat>>> stat(Digest digest) override {
        co_return told(co_await pool_.run([files = files_, digest]() -> Result<std::optional<Stat>> {
            struct ::stat status {};
            const auto path = files->blob(digest);
            if (::stat(path.c_str(), &status) == 0) return Stat{static_cast<std::uint64_t>(status.st_size)};
            if (errno == ENOENT) return std::nullopt;
            return fail_errno("stat " + path.string(), errno);
        }));
    }

    net::Async<Result<net::FileBody>> open(Digest digest) override {
        co_return told(co_await pool_.run([files = files_, digest]() -> Result<net::FileBody> {
            const auto path = files->blob(digest);
            auto file = open_file(path, O_RDONLY);
            if (!file && file.error().code == Code::not_found)
                return fail(Code::not_found, "there is no blob " + digest.str());
            if (!file) return std::unexpected(std::move(file).error());
            CONSIGN_TRY(size, size_of(*file, path));
            return net::FileBody{
                .file = std::make_shared<const Fd>(std::move(*file)), .offset = 0, .size = size};
        }));
    }

    net::Async<Result<void>> remove(Digest digest) override {
        co_return told(co_await pool_.run([files = files_, digest]() -> Result<void> {
            const auto path = files->blob(digest);
            if (::unlink(path.c_str()) != 0 && errno != ENOENT)
                return fail_errno("remove " + path.string(), errno);
            return {};
        }));
    }

    net::Async<Result<std::string>> begin_upload() override {
        auto begun = told(
            co_await pool_.run([files = files_, idle = options_.uploads_expire]() -> Result<std::string> {
                auto id = to_hex(random_bytes(16));
                CONSIGN_CHECK(make_directories(files->uploads()));
                // An install agent may run for years and has nobody to call expire_uploads().
                if (files->expiry_is_due()) CONSIGN_CHECK(files->expire_uploads(idle));
                CONSIGN_TRY(file, open_file(files->upload(id), O_WRONLY | O_CREAT | O_EXCL));
                file.reset();
                return id;
            }));
        if (begun) uploads_->begun(*begun);
        co_return begun;
    }

    net::Async<Result<std::uint64_t>> upload_size(std::string upload) override {
        if (!is_upload_id(upload)) co_return unknown_upload(upload);
        if (const auto size = uploads_->size(upload)) co_return *size;
        co_return told(co_await pool_.run([files = files_, upload]() -> Result<std::uint64_t> {
            CONSIGN_TRY(file, open_upload(*files, upload, O_RDONLY));
            return size_of(file, files->upload(upload));
        }));
    }

    net::Async<Result<std::uint64_t>> append(std::string upload, net::Source& content,
                                             std::string_view algorithm) override {
        co_return told(co_await append_all(std::move(upload), content, std::string(algorithm)));
    }

    net::Async<Result<Finished>> finish(std::string upload, Digest expected) override {
        co_return told(co_await finish_all(std::move(upload), std::move(expected)));
    }

    net::Async<Result<Finished>> receive(std::string upload, net::Source& content, Digest expected,
                                         std::function<net::Async<Result<void>>()> check) override {
        co_return told(
            co_await receive_all(std::move(upload), content, std::move(expected), std::move(check)));
    }

    net::Async<Result<void>> abandon(std::string upload) override {
        if (!is_upload_id(upload)) co_return unknown_upload(upload);
        CONSIGN_CO_TRY(claim, UploadTable::claim(uploads_, upload));
        claim->forget();
        co_return told(co_await pool_.run([files = files_, upload, claim = claim]() -> Result<void> {
            if (::unlink(files->upload(upload).c_str()) == 0) return {};
            if (errno == ENOENT) return unknown_upload(upload);
            return fail_errno("remove upload " + upload, errno);
        }));
    }

    net::Async<Result<void>> sync() override {
        co_return told(co_await pool_.run([files = files_] { return files->sync(); }));
    }
    Result<void> sync_blocking() override { return files_->sync(); }
    Result<void> restore(const Digest& digest, std::string_view bytes) override {
        return files_->restore(digest, bytes);
    }

    net::Async<Result<Pin>> pin(Digest digest) override {
        co_return co_await pool_.run(
            [files = files_, digest]() -> Result<Pin> { return files->pin(digest); });
    }
    Result<bool> discard(const Digest& digest) override { return told(files_->discard(digest)); }
    net::Async<Result<void>> purge() override {
        co_return told(co_await pool_.run([files = files_] { return files->purge(); }));
    }
    net::Async<Result<bool>> quarantine(Digest digest, std::string stamp) override {
        co_return told(co_await pool_.run(
            [files = files_, digest, stamp = std::move(stamp)] { return files->quarantine(digest, stamp); }));
    }
    net::Async<Result<std::vector<Listed>>> list(unsigned shard) override {
        co_return told(co_await pool_.run([files = files_, shard] { return files->list(shard); }));
    }
    net::Async<Result<std::size_t>> expire_uploads(std::chrono::seconds idle) override {
        auto expired =
            told(co_await pool_.run([files = files_, idle] { return files->expire_uploads(idle); }));
        if (!expired || *expired > 0) uploads_->forget_waiting();
        co_return expired;
    }
    net::Async<Result<std::uint64_t>> free_space() override {
        co_return told(co_await pool_.run([files = files_] { return free_bytes(files->root()); }));
    }

  private:
    /// What the caller may hear of it: where our files are is for the log.
    template <class T>
    Result<T> told(Result<T> result) const {
        if (result || shape_ == BlobPaths::flat || !result.error().message.contains(files_->root().string()))
            return result;
        log::error("the blob store failed", {{"error", to_string(result.error())}});
        if (result.error().code == Code::storage_full)
            return fail(Code::storage_full, "the registry's disk is full",
                        "free some space there, then try again");
        return fail(Code::internal, "the registry cannot use its files", "its log says why");
    }

    std::shared_ptr<Work> work_on(const std::string& upload, Claim claim) const {
        return std::make_shared<Work>(Work{.files = files_,
                                           .id = upload,
                                           .claim = std::move(claim),
                                           .free_floor = options_.free_floor_bytes});
    }
    net::Async<Result<void>> hash_all(std::shared_ptr<Work> work, std::string algorithm) {
        for (;;) {
            if (work->is_hashed(algorithm)) co_return Result<void>{};
            CONSIGN_CO_CHECK(co_await pool_.run([work, algorithm] { return work->hash_some(algorithm); }));
        }
    }
    net::Async<Result<std::uint64_t>> append_all(std::string upload, net::Source& content,
                                                 std::string algorithm) {
        if (!is_upload_id(upload)) co_return unknown_upload(upload);
        CONSIGN_CO_TRY(claim, UploadTable::claim(uploads_, upload));
        auto work = work_on(upload, claim);
        work->wanted_algorithm = std::move(algorithm);
        work->buffer.reserve(kFirstPieceBytes);
        auto first = co_await read_full(content, work->buffer.all());
        CONSIGN_CO_CHECK(co_await pool_.run([work, count = first.size] { return work->begin(count); }));
        co_return co_await append_rest(work, content, std::move(first));
    }
    /// After begin() with the `first` piece.
    net::Async<Result<std::uint64_t>> append_rest(std::shared_ptr<Work> work, net::Source& content,
                                                  Filled first) {
        if (!work->begun) {
            PieceBuffer piece;
            std::swap(piece, work->buffer); // hashing needs one, too
            CONSIGN_CO_CHECK(co_await hash_all(work, work->wanted_algorithm));
            std::swap(piece, work->buffer);
            if (first.size > 0)
                CONSIGN_CO_CHECK(
                    co_await pool_.run([work, count = first.size] { return work->write(count); }));
        }
        if (first.error) co_return std::unexpected(*first.error);
        if (first.ended) co_return work->size;
        work->buffer.reserve(kPieceBytes);
        for (;;) {
            const auto filled = co_await read_full(content, work->buffer.all());
            if (filled.size > 0)
                CONSIGN_CO_CHECK(
                    co_await pool_.run([work, count = filled.size] { return work->write(count); }));
            if (filled.error) co_return std::unexpected(*filled.error);
            if (filled.ended) co_return work->size;
        }
    }
    net::Async<Result<Finished>> receive_all(std::string upload, net::Source& content, Digest expected,
                                             std::function<net::Async<Result<void>>()> check) {
        if (!is_upload_id(upload)) co_return unknown_upload(upload);
        CONSIGN_CO_TRY(claim, UploadTable::claim(uploads_, upload));
        auto work = work_on(upload, claim);
        work->wanted_algorithm = expected.algorithm();
        work->buffer.reserve(kFirstPieceBytes);
        auto first = co_await read_full(content, work->buffer.all());
        const bool whole = first.ended && !first.error;
        if (whole) CONSIGN_CO_CHECK(co_await check());
        using Maybe = Result<std::optional<Finished>>;
        CONSIGN_CO_TRY(done, co_await pool_.run([work, expected, whole, count = first.size,
                                                 may_sync_later = options_.sync_later_up_to]() -> Maybe {
            CONSIGN_CHECK(work->begin(count));
            if (!whole || !work->begun || !work->is_hashed(expected.algorithm())) return std::nullopt;
            const bool sync_later = work->start == 0 && count > 0 && count <= may_sync_later;
            CONSIGN_TRY(finished, work->finish(expected, sync_later));
            return std::optional(std::move(finished));
        }));
        if (done) co_return std::move(*done);
        CONSIGN_CO_CHECK(co_await append_rest(work, content, std::move(first)));
        if (!whole) CONSIGN_CO_CHECK(co_await check());
        CONSIGN_CO_CHECK(co_await hash_all(work, std::string(expected.algorithm())));
        co_return co_await pool_.run([work, expected] { return work->finish(expected); });
    }
    net::Async<Result<Finished>> finish_all(std::string upload, Digest expected) {
        if (!is_upload_id(upload)) co_return unknown_upload(upload);
        CONSIGN_CO_TRY(claim, UploadTable::claim(uploads_, upload));
        auto work = work_on(upload, claim);
        CONSIGN_CO_TRY(done, co_await pool_.run([work, expected]() -> Result<std::optional<Finished>> {
            CONSIGN_CHECK(work->open());
            if (!work->is_hashed(expected.algorithm())) return std::nullopt;
            CONSIGN_TRY(finished, work->finish(expected));
            return std::optional(std::move(finished));
        }));
        if (done) co_return std::move(*done);
        CONSIGN_CO_CHECK(co_await hash_all(work, std::string(expected.algorithm())));
        co_return co_await pool_.run([work, expected] { return work->finish(expected); });
    }

    std::shared_ptr<BlobFiles> files_; // shared with work on the pool
    BlobPaths shape_;
    std::shared_ptr<UploadTable> uploads_ = std::make_shared<UploadTable>();
    net::BlockingPool& pool_;
    BlobStoreOptions options_;
};

} // namespace

std::unique_ptr<BlobStore> make_file_blob_store(const fs::path& root, const fs::path& uploads,
                                                BlobPaths paths, net::BlockingPool& pool,
                                                BlobStoreOptions options) {
    return std::make_unique<FileBlobStore>(std::make_shared<BlobFiles>(root, uploads, paths), paths, pool,
                                           options);
}

Result<std::unique_ptr<BlobStore>> open_file_blob_store(const fs::path& root, net::BlockingPool& pool,
                                                        BlobStoreOptions options) {
    for (const char* directory : {"blobs", "uploads", "trash", "quarantine"})
        CONSIGN_CHECK(make_durable_directory(root / directory));
    const BlobFiles files(root, root / "uploads", BlobPaths::fanned);
    CONSIGN_CHECK(files.purge()); // of an earlier process that was killed in between
    CONSIGN_CHECK(files.expire_uploads(options.uploads_expire));
    return make_file_blob_store(root, root / "uploads", BlobPaths::fanned, pool, options);
}

net::Async<Result<BlobStore::Finished>> store_blob(BlobStore& store, Descriptor expected,
                                                   net::Source& content) {
    CONSIGN_CO_TRY(upload, co_await store.begin_upload());
    auto size = co_await store.append(upload, content, expected.digest.algorithm());
    if (size && *size != expected.size)
        size = fail(Code::corrupt,
                    std::format("{}: {} bytes instead of {}", expected.digest.str(), *size, expected.size));
    if (!size) {
        (void)co_await store.abandon(upload);
        co_return std::unexpected(std::move(size).error());
    }
    auto finished = co_await store.finish(upload, expected.digest);
    if (!finished && finished.error().code != Code::corrupt) (void)co_await store.abandon(upload);
    co_return finished;
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
