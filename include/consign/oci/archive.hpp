#pragma once
#include "consign/net/async.hpp"
#include "consign/oci/repository.hpp"
#include <filesystem>

namespace consign::oci {

/// An OCI archive, which is an OCI image layout in a tar file, for reading. One pass over the headers finds
/// where everything is; nothing is unpacked. Blocks. not_found; invalid_argument: not a tar file, or
/// compressed; corrupt: cut off, or without what a layout must have.
Result<std::unique_ptr<Repository>> open_archive(const std::filesystem::path& file, net::BlockingPool& pool);

/// An OCI archive being written. The same blobs and manifests in the same order make the same bytes: no
/// times, no owners. It is a temporary file beside its name until finish().
class ArchiveWriter : public Repository {
  public:
    /// Replaces what is at `file`, in the end and not before. Blocks.
    static Result<std::unique_ptr<ArchiveWriter>> create(const std::filesystem::path& file,
                                                         net::BlockingPool& pool);
    /// Writes index.json, fsyncs, gives the file its name. Nothing may be written after it.
    virtual net::Async<Result<void>> finish() = 0;
};

} // namespace consign::oci
