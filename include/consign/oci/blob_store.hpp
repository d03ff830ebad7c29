#pragma once
#include "consign/base/digest.hpp"
#include "consign/base/file.hpp"
#include "consign/net/http.hpp"
#include <filesystem>
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
    /// before.
    virtual net::Async<Result<std::uint64_t>> append(std::string upload, net::Source& content) = 0;
    /// Verifies the digest, fsyncs, makes the blob visible. corrupt: the bytes are something else; the upload
    /// is gone.
    virtual net::Async<Result<std::uint64_t>> finish(std::string upload, Digest expected) = 0;
    virtual net::Async<Result<void>> abandon(std::string upload) = 0;
};

/// Files named by digest under `root`: blobs/sha256/ab/<hex>, uploads/<id>.
Result<std::unique_ptr<BlobStore>> open_file_blob_store(const std::filesystem::path& root,
                                                        net::BlockingPool& pool);

} // namespace consign::oci
