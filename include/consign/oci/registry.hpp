#pragma once
// A registry: blobs on a BlobStore, and repositories, tags and links in its own SQLite file. The same class
// serves HTTP (registry_server.hpp) and in-process writers (open_local).
#include "consign/oci/blob_store.hpp"
#include "consign/oci/registry_upkeep.hpp"
#include "consign/oci/repository.hpp"
#include "consign/store/database.hpp"

namespace consign::oci {

struct RegistryOptions {
    /// Bytes, 0: no limit. A push that would cross a quota is refused (permission_denied), one for which the
    /// disk has no room beyond the floor with storage_full; either leaves nothing behind.
    std::uint64_t quota_bytes = 0;            ///< of all blobs, each once, and manifests
    std::uint64_t repository_quota_bytes = 0; ///< of each repository that has none of its own
    std::uint64_t free_floor_bytes = 0;
    std::chrono::seconds uploads_expire = std::chrono::hours(7 * 24); ///< after the last byte that came
    const Clock* clock = nullptr; ///< the system's; must outlive the registry
};

class Registry {
  public:
    /// DIR/registry.db and DIR/blobs. Thread-safe; `pool` must outlive it.
    static Result<std::unique_ptr<Registry>> open(const std::filesystem::path& directory,
                                                  net::BlockingPool& pool, RegistryOptions options = {});
    ~Registry();

    /// The repository `name` of this registry, in process: no HTTP and no credential. Created on first write.
    /// invalid_argument for a bad name.
    Result<std::unique_ptr<Repository>> repository(std::string_view name);

    net::Async<Result<std::vector<std::string>>> repositories();
    net::Async<Result<std::vector<std::string>>> tags(std::string repository);
    /// Whether the digest is the manifest `root`, one of its children, or a blob one of them names.
    net::Async<Result<bool>> in_closure(std::string repository, Digest root, Digest digest);

    // Upkeep. Each goes in small steps beside reads and pushes, ends early with `cancelled` when its
    // coroutine is cancelled, and may be killed at any moment: the next run goes on from what is there.

    net::Async<Result<GcReport>> gc(GcOptions options);
    /// Reads every blob and manifest again; what is damaged is set aside, logged and reported.
    net::Async<Result<ScrubReport>> scrub(ScrubOptions options = {});
    net::Async<Result<RegistryUsage>> usage();
    /// Makes the repository if it does not exist.
    net::Async<Result<RepositoryUsage>> set(std::string repository, RepositorySettings settings);
    /// Removes uploads that nobody went on with (RegistryOptions::uploads_expire); how many. To be called now
    /// and then.
    net::Async<Result<std::size_t>> expire_uploads();

  private:
    friend class RegistryServer;
    Registry();
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace consign::oci
