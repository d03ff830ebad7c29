#pragma once
#include "consign/oci/blob_store.hpp"
#include "consign/oci/types.hpp"

namespace consign::oci {

enum class BlobPaths {
    fanned, ///< blobs/sha256/ab/<hex>: directories stay small with a million blobs
    flat,   ///< blobs/sha256/<hex>: as an OCI image layout has them
};
/// The implementation behind open_file_blob_store(); `uploads` is made on the first upload.
std::unique_ptr<BlobStore> make_file_blob_store(const std::filesystem::path& root,
                                                const std::filesystem::path& uploads, BlobPaths paths,
                                                net::BlockingPool& pool);

/// All of `content` as the blob `expected`; what is already there is kept. The upload is gone after a
/// failure.
net::Async<Result<void>> store_blob(BlobStore& store, Descriptor expected, net::Source& content);

/// The whole of a small blob. not_found; too_large past `limit`; corrupt if it is not what the digest says.
net::Async<Result<std::string>> load_blob(BlobStore& store, Digest digest, net::BlockingPool& pool,
                                          std::size_t limit);

} // namespace consign::oci
