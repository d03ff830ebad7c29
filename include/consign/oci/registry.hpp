#pragma once
// A registry: blobs on a BlobStore, and repositories, tags and links in its own SQLite file. The same class
// serves HTTP (registry_server.hpp) and in-process writers (open_local).
#include "consign/oci/blob_store.hpp"
#include "consign/oci/repository.hpp"
#include "consign/store/database.hpp"

namespace consign::oci {

class Registry {
  public:
    /// DIR/registry.db and DIR/blobs. Thread-safe; `pool` must outlive it.
    static Result<std::unique_ptr<Registry>> open(const std::filesystem::path& directory,
                                                  net::BlockingPool& pool);
    ~Registry();

    /// The repository `name` of this registry, in process: no HTTP and no credential. Created on first write.
    /// invalid_argument for a bad name.
    Result<std::unique_ptr<Repository>> repository(std::string_view name);

    net::Async<Result<std::vector<std::string>>> repositories();
    net::Async<Result<std::vector<std::string>>> tags(std::string repository);
    /// Whether the digest is the manifest `root`, one of its children, or a blob one of them names.
    net::Async<Result<bool>> in_closure(std::string repository, Digest root, Digest digest);

  private:
    friend class RegistryServer;
    Registry();
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace consign::oci
