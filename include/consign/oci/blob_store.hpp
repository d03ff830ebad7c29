#pragma once
#include "consign/base/clock.hpp"
#include "consign/base/digest.hpp"
#include "consign/base/file.hpp"
#include "consign/net/http.hpp"
#include <filesystem>
#include <functional>
#include <memory>

namespace consign::oci {

/// Bytes by digest. Blocking by nature, so implementations do their file work on a BlockingPool.
class BlobStore {
  public:
    virtual ~BlobStore() = default;

    struct Stat {
        std::uint64_t size;
    };
    virtual net::Async<Result<std::optional<Stat>>> stat(Digest digest) = 0;
    /// A body that can be sent: the whole blob or a range (offset + size within it). not_found.
    virtual net::Async<Result<net::FileBody>> open(Digest digest) = 0;
    virtual net::Async<Result<void>> remove(Digest digest) = 0;

    /// An upload in progress: survives a restart, is named by a random id.
    virtual net::Async<Result<std::string>> begin_upload() = 0;
    virtual net::Async<Result<std::uint64_t>> upload_size(std::string upload) = 0; ///< not_found
    /// Appends all of `content`; returns the new size. storage_full leaves the upload as it was durable
    /// before. `algorithm` is that of the digest it will be finished with, when the caller knows: a wrong
    /// guess costs another reading of the file.
    virtual net::Async<Result<std::uint64_t>> append(std::string upload, net::Source& content,
                                                     std::string_view algorithm = "sha256") = 0;
    /// Keeps discard() from taking a blob as long as it lives. Movable; any thread may drop it.
    using Pin = std::shared_ptr<void>;
    struct Finished {
        std::uint64_t size = 0;
        std::string stamp; ///< see stamp_of()
        Pin pin;           ///< hold it until a link to the blob is committed
        /// All of it, if its file is not synced (BlobStoreOptions::sync_later_up_to): the link's commit must
        /// keep these bytes until a later sync() is done.
        std::string unsynced = {};
    };
    /// Verifies the digest, fsyncs, makes the blob visible. corrupt: the bytes are something else; the upload
    /// is gone.
    virtual net::Async<Result<Finished>> finish(std::string upload, Digest expected) = 0;
    /// append() and finish() in one, in fewer steps for what is small. When all has come, and before anything
    /// is made visible, `check` is asked; its error ends it, and leaves the upload.
    virtual net::Async<Result<Finished>> receive(std::string upload, net::Source& content, Digest expected,
                                                 std::function<net::Async<Result<void>>()> check) = 0;
    virtual net::Async<Result<void>> abandon(std::string upload) = 0;
    /// What was finished before is on disk after it.
    virtual net::Async<Result<void>> sync() = 0;
    virtual Result<void> sync_blocking() = 0;
    /// Makes the blob's file, which must hold these bytes, unless it is there; sync_blocking() must follow.
    /// Blocks.
    virtual Result<void> restore(const Digest& digest, std::string_view bytes) = 0;

    // Upkeep: what garbage collection and scrub need.

    /// For who refers to a blob that is there already: pin, look for it, commit the link, drop the pin.
    virtual net::Async<Result<Pin>> pin(Digest digest) = 0;
    /// Takes the blob out of sight; its bytes go with the next purge(). False: it is pinned. Blocks for a
    /// rename: for the database's writer thread, which thereby orders it with the links.
    virtual Result<bool> discard(const Digest& digest) = 0;
    virtual net::Async<Result<void>> purge() = 0;
    /// Moves a damaged file out of sight, to quarantine/, unless it is another file by now than the one with
    /// `stamp`. Whether it did.
    virtual net::Async<Result<bool>> quarantine(Digest digest, std::string stamp) = 0;
    struct Listed {
        Digest digest;
        std::uint64_t size;
        Time modified;
    };
    static constexpr unsigned kShards = 256;
    /// All blobs of one shard (< kShards), referred to or not.
    virtual net::Async<Result<std::vector<Listed>>> list(unsigned shard) = 0;
    /// Removes the uploads that nobody appended to for so long; how many.
    virtual net::Async<Result<std::size_t>> expire_uploads(std::chrono::seconds idle) = 0;
    virtual net::Async<Result<std::uint64_t>> free_space() = 0; ///< bytes
};

struct BlobStoreOptions {
    /// Uploads stop (storage_full) when the file system has less room than this, bytes.
    std::uint64_t free_floor_bytes = 0;
    /// Blobs up to this size that come by receive() in one piece are left to sync(), bytes; at most 32 KiB.
    std::size_t sync_later_up_to = 0;
    /// Uploads that nobody appended to for so long are removed when the store is opened.
    std::chrono::seconds uploads_expire = std::chrono::hours(7 * 24);
};

/// Files named by digest under `root`: blobs/sha256/ab/<hex>, uploads/<id>, quarantine/ and trash/. Its
/// errors name no path, as they may reach strangers; the log does.
Result<std::unique_ptr<BlobStore>> open_file_blob_store(const std::filesystem::path& root,
                                                        net::BlockingPool& pool,
                                                        BlobStoreOptions options = {});

} // namespace consign::oci
