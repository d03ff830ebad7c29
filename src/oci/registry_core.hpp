#pragma once
#include "consign/oci/blob_store.hpp"
#include "consign/oci/registry.hpp"
#include "metadata.hpp"
#include "small_blobs.hpp"
#include <atomic>

namespace consign::oci {

/// What the HTTP server and the in-process repositories share: the two stores and the order in which they are
/// used. Bytes go to disk before a link to them exists; a link exists before a manifest that needs it.
class RegistryCore {
  public:
    RegistryCore(std::unique_ptr<store::Database> database, std::unique_ptr<BlobStore> blobs,
                 net::BlockingPool& pool, RegistryOptions options)
        : database(std::move(database)), blobs(std::move(blobs)), pool(pool), options(options),
          small_blobs(*this->database, *this->blobs), clock(options.clock ? *options.clock : system_clock_) {}

    /// A blob's file, and the stamp under which it was last known to be right.
    struct Opened {
        net::FileBody body;
        std::string stamp;
        Time touched_at = {};
    };
    /// not_found when the repository does not have it, or it is damaged: its size is wrong, or it is another
    /// file than the one that was verified and reading all of it shows other bytes. Damage that the file
    /// system does not show is found by whoever hashes what is read, and by scrub.
    net::Async<Result<Opened>> open_blob(std::string repository, Digest digest);
    /// As open_blob(), for somebody who will rely on it being here: it is kept as if pushed now.
    net::Async<Result<bool>> keep_blob(std::string repository, Digest digest);
    /// Its bytes turned out wrong: sets the file aside unless it was replaced meanwhile, and says who needs
    /// it.
    net::Async<void> blob_is_damaged(Digest digest, Opened opened);

    /// permission_denied: a quota; the bytes are gone then, unless somebody else has them.
    net::Async<Result<void>> link_blob(std::string repository, Digest digest, BlobStore::Finished finished);
    /// Makes what `from` has visible in `to`; false when `from` does not have it.
    net::Async<Result<bool>> mount_blob(std::string from, std::string to, Digest digest);
    /// How many bytes may come as a blob of `repository`, of which `announced` are said to.
    /// permission_denied: a quota has no room for them; storage_full: the disk has none.
    net::Async<Result<std::uint64_t>> room(std::string repository, std::optional<Digest> digest,
                                           std::uint64_t announced);

    /// not_found; corrupt when the stored bytes are damaged.
    net::Async<Result<ManifestBytes>> fetch_manifest(std::string repository, TagOrDigest which,
                                                     bool keep = false);
    /// A tag, or a manifest with all its tags; false: there is none.
    net::Async<Result<bool>> remove_manifest(std::string repository, TagOrDigest which);
    /// Hashes, parses and stores. `expected`, if given, is what the bytes must be. Returns digest and
    /// subject.
    struct Put {
        Digest digest;
        std::optional<Digest> subject;
    };
    net::Async<Result<Put>> put_manifest(std::string repository, std::string media_type, std::string body,
                                         std::string tag, std::optional<Digest> expected);

    metadata::Limits limits() const { return {options.quota_bytes, options.repository_quota_bytes}; }

    std::unique_ptr<store::Database> database;
    std::unique_ptr<BlobStore> blobs;
    net::BlockingPool& pool;
    const RegistryOptions options;
    SmallBlobs small_blobs;
    /// Whether any repository may have a quota of its own; while none has, and the registry has none, nobody
    /// asks.
    std::atomic<bool> has_repository_quotas = true;

  private:
    bool is_old(Time touched_at) const;
    SystemClock system_clock_;

  public:
    const Clock& clock;
};

/// Whether the file holds what the digest says; read in pieces that give the pool back in between.
net::Async<Result<bool>> holds(net::FileBody body, Digest digest, net::BlockingPool& pool,
                               std::function<net::Async<void>(std::size_t)> after_piece = {});

/// Fails with permission_denied once more than `room` bytes have come: for a body of unknown length.
class LimitedSource final : public net::Source {
  public:
    LimitedSource(net::Source& inner, std::uint64_t room, std::string repository)
        : inner_(inner), left_(room), repository_(std::move(repository)) {}
    net::Async<Result<std::size_t>> read(std::span<std::byte> into) override;

  private:
    net::Source& inner_;
    std::uint64_t left_;
    std::string repository_;
};
net::Async<Result<GcReport>> collect_garbage(RegistryCore& core, GcOptions options); // gc.cpp
net::Async<Result<ScrubReport>> scrub_all(RegistryCore& core, ScrubOptions options); // scrub.cpp

std::unique_ptr<Repository> make_local_repository(RegistryCore& core, std::string name);

} // namespace consign::oci
