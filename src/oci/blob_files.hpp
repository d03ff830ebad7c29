#pragma once
#include "consign/oci/blob_store.hpp"
#include <map>
#include <mutex>

namespace consign::oci {

enum class BlobPaths {
    fanned, ///< blobs/sha256/ab/<hex>: directories stay small with a million blobs
    flat,   ///< blobs/sha256/<hex>: as an OCI image layout has them
};

/// Which bytes a file has, as far as the file system tells: it changes when the file is replaced or written
/// to, not when the disk decays.
std::string stamp_of(const net::FileBody& body); ///< "" if it cannot be told

/// Where blobs lie, and the only code that gives a blob's file its name or takes it away. Blocks; any thread
/// but an I/O thread.
class BlobFiles : public std::enable_shared_from_this<BlobFiles> {
  public:
    BlobFiles(std::filesystem::path root, std::filesystem::path uploads, BlobPaths shape);

    std::filesystem::path blob(const Digest& digest) const;
    std::filesystem::path upload(const std::string& id) const { return uploads_ / id; }
    const std::filesystem::path& root() const { return root_; }
    const std::filesystem::path& uploads() const { return uploads_; }

    /// The file `from`, already on disk, becomes the blob, durably. The pin is from before that.
    Result<BlobStore::Pin> place(const std::filesystem::path& from, const Digest& digest);
    /// The same without a sync, and only if there is no such file: what is durable must not give way to what
    /// is not. nullptr: there is one, or the file system cannot tell.
    Result<BlobStore::Pin> place_new(const std::filesystem::path& from, const Digest& digest);
    Result<void> restore(const Digest& digest, std::string_view bytes);
    Result<void> sync() const; ///< all files of the file system
    BlobStore::Pin pin(const Digest& digest);
    Result<bool> discard(const Digest& digest);
    Result<void> purge() const;
    Result<bool> quarantine(const Digest& digest, const std::string& stamp);
    Result<std::vector<BlobStore::Listed>> list(unsigned shard) const;
    Result<std::size_t> expire_uploads(std::chrono::seconds idle) const;
    bool expiry_is_due(); ///< once an hour

  private:
    std::filesystem::path aside(std::string_view directory, const Digest& digest) const;
    void unpin(const Digest& digest);

    const std::filesystem::path root_, uploads_;
    const BlobPaths shape_;
    // Held over renames, so that what was looked at is what is moved. Pins have a lock of their own, taken
    // inside it: dropping one never waits for the disk.
    std::mutex names_, pins_mutex_;
    std::map<Digest, int> pins_;
    std::chrono::steady_clock::time_point expired_at_; // under names_
};

/// Makes `directory` and what is missing above it, each on disk in its parent.
Result<void> make_durable_directory(const std::filesystem::path& directory);

} // namespace consign::oci
