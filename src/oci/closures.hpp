#pragma once
#include "consign/oci/types.hpp"
#include "upstream.hpp"
#include <mutex>
#include <set>

namespace consign::oci {

/// What belongs to artifacts of an upstream registry: which manifests and blobs a digest stands for. A digest
/// never means anything else, so what was read once stays true. Any thread.
class Closures {
  public:
    explicit Closures(const Upstream& upstream) : upstream_(upstream) {}

    struct Members {
        std::set<Digest> manifests; ///< with the root
        std::set<Digest> blobs;
        bool contains(const Digest& digest) const {
            return manifests.contains(digest) || blobs.contains(digest);
        }
    };
    /// not_found: upstream has no such manifest; unsupported, too_large: more or deeper than any artifact of
    /// ours.
    net::Async<Result<std::shared_ptr<const Members>>> of(std::string repository, Digest root);

  private:
    net::Async<Result<void>> add(std::string repository, Digest digest, int depth, Members& members,
                                 std::size_t& bytes);
    const Upstream& upstream_;
    std::mutex mutex_;
    std::map<std::string, std::shared_ptr<const Members>> known_;
};

/// All types of manifests, as the value of Accept.
std::string manifest_types();
/// The manifest's bytes, verified against the digest.
net::Async<Result<ManifestBytes>> fetch_manifest(const Upstream& upstream, std::string repository,
                                                 Digest digest);

} // namespace consign::oci
