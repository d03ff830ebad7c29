#pragma once
#include "consign/oci/blob_store.hpp"
#include "consign/oci/repository.hpp"

namespace consign::oci {

/// Repository::push() for whoever keeps blobs in a BlobStore: the session is the upload's id, which survives
/// a restart, and its size says where to go on. The whole is hashed before it is visible; an upload whose
/// beginning turns out to be damaged is begun anew, once.
net::Async<Result<BlobStore::Finished>> resume_into(BlobStore& store, Push push);

} // namespace consign::oci
