#pragma once
#include "blob_files.hpp"
#include "consign/oci/types.hpp"

namespace consign::oci {

/// The implementation behind open_file_blob_store(); `uploads` is made on the first upload. A flat one is
/// somebody's own directory, and its errors name paths.
std::unique_ptr<BlobStore> make_file_blob_store(const std::filesystem::path& root,
                                                const std::filesystem::path& uploads, BlobPaths paths,
                                                net::BlockingPool& pool, BlobStoreOptions options = {});

/// All of `content` as the blob `expected`; what is already there is replaced, in case it is damaged. The
/// upload is gone after a failure.
net::Async<Result<BlobStore::Finished>> store_blob(BlobStore& store, Descriptor expected,
                                                   net::Source& content);

/// The whole of a small blob. not_found; too_large past `limit`; corrupt if it is not what the digest says.
net::Async<Result<std::string>> load_blob(BlobStore& store, Digest digest, net::BlockingPool& pool,
                                          std::size_t limit);

} // namespace consign::oci
