#pragma once
// What operators ask of the embedded registry (docs/protocol.md, "The registry"). Garbage collection and
// scrub may take hours, so they are started and then asked for: POST starts, GET says how far it is; `wait=S`
// (0..50) parks either until it has ended.
#include "consign/protocol/user_api.hpp"

namespace consign::protocol {

inline constexpr std::string_view kRegistryPath = "/v1/registry";
inline constexpr std::string_view kRegistryGcPath = "/v1/registry/gc";
inline constexpr std::string_view kRegistryScrubPath = "/v1/registry/scrub";
inline constexpr std::string_view kRegistrySettingsPath = "/v1/registry/settings";

enum class RegistryRunState { running, done, failed };

/// POST /v1/registry/gc?wait=S. conflict while another run is on.
struct RegistryGcRequest {
    bool dry_run = false;
    /// What was pushed, mounted or asked for within so many seconds stays, referenced or not: a push is many
    /// requests.
    std::int64_t grace_s = 86'400;
    static constexpr auto fields(auto& self, auto&& f) {
        f("dry_run", self.dry_run, json::kDefaulted);
        f("grace_s", self.grace_s, json::kDefaulted);
    }
};
/// One thing that went, or in a dry run would go.
struct RegistryGcItem {
    std::string
        kind; ///< "manifest", "link" (a blob leaves a repository) or "file" (its bytes leave the disk)
    std::string repository; ///< empty for a file
    Digest digest;
    std::int64_t bytes = 0;
    static constexpr auto fields(auto& self, auto&& f) {
        f("kind", self.kind);
        f("repository", self.repository, json::kDefaulted);
        f("digest", self.digest);
        f("bytes", self.bytes);
    }
};
/// Also GET /v1/registry/gc?wait=S: the run that is on, or else the last one since the server's start;
/// not_found when there was none.
struct RegistryGcReport {
    RegistryRunState state = RegistryRunState::running;
    std::string error; ///< of a failed run: what it did until then is counted below
    bool dry_run = false;
    std::int64_t grace_s = 0;
    std::int64_t manifests_kept = 0, manifests_removed = 0;
    std::int64_t links_kept = 0, links_removed = 0;
    std::int64_t files_kept = 0, files_removed = 0;
    std::int64_t bytes_freed = 0; ///< of the files, and of manifests' rows
    std::int64_t uploads_removed = 0;
    std::vector<RegistryGcItem> items; ///< the first 1000
    Time started_at{};
    std::optional<Time> finished_at;
    static constexpr auto fields(auto& self, auto&& f) {
        f("state", self.state);
        f("error", self.error, json::kDefaulted);
        f("dry_run", self.dry_run);
        f("grace_s", self.grace_s);
        f("manifests_kept", self.manifests_kept);
        f("manifests_removed", self.manifests_removed);
        f("links_kept", self.links_kept);
        f("links_removed", self.links_removed);
        f("files_kept", self.files_kept);
        f("files_removed", self.files_removed);
        f("bytes_freed", self.bytes_freed);
        f("uploads_removed", self.uploads_removed);
        f("items", self.items, json::kDefaulted);
        f("started_at", self.started_at);
        f("finished_at", self.finished_at);
    }
};

/// POST /v1/registry/scrub?wait=S. conflict while another run is on.
struct RegistryScrubRequest {
    std::int64_t mib_per_s = 64; ///< how fast it reads at most, 1..10000
    static constexpr auto fields(auto& self, auto&& f) { f("mib_per_s", self.mib_per_s, json::kDefaulted); }
};
/// Who needs something that is damaged.
struct RegistryReferrer {
    std::string repository;
    std::optional<Digest> manifest; ///< none: the repository has the blob, but no manifest names it
    std::vector<std::string> tags;  ///< of that manifest, or of an index that leads to it
    static constexpr auto fields(auto& self, auto&& f) {
        f("repository", self.repository);
        f("manifest", self.manifest);
        f("tags", self.tags, json::kDefaulted);
    }
};
struct RegistryDamage {
    std::string kind; ///< "blob" or "manifest"
    Digest digest;
    std::string what; ///< "damaged" (now quarantined) or "missing"
    std::vector<RegistryReferrer> referrers;
    static constexpr auto fields(auto& self, auto&& f) {
        f("kind", self.kind);
        f("digest", self.digest);
        f("what", self.what);
        f("referrers", self.referrers, json::kDefaulted);
    }
};
/// Also GET /v1/registry/scrub?wait=S, as for gc.
struct RegistryScrubReport {
    RegistryRunState state = RegistryRunState::running;
    std::string error;
    std::int64_t blobs = 0, manifests = 0, bytes = 0; ///< read so far
    std::int64_t bytes_total = 0;                     ///< to read, as known at the start
    std::int64_t damaged = 0, missing = 0;
    std::vector<RegistryDamage> damages; ///< the first 1000
    Time started_at{};
    std::optional<Time> finished_at;
    static constexpr auto fields(auto& self, auto&& f) {
        f("state", self.state);
        f("error", self.error, json::kDefaulted);
        f("blobs", self.blobs);
        f("manifests", self.manifests);
        f("bytes", self.bytes);
        f("bytes_total", self.bytes_total);
        f("damaged", self.damaged);
        f("missing", self.missing);
        f("damages", self.damages, json::kDefaulted);
        f("started_at", self.started_at);
        f("finished_at", self.finished_at);
    }
};

struct RegistryRepositoryUsage {
    std::string repository;
    std::int64_t tags = 0, manifests = 0, blobs = 0;
    std::int64_t bytes = 0; ///< of its blobs and manifests; a blob counts in each repository that has it
    std::int64_t quota_bytes = 0; ///< 0: none of its own
    bool immutable_tags = false;
    static constexpr auto fields(auto& self, auto&& f) {
        f("repository", self.repository);
        f("tags", self.tags);
        f("manifests", self.manifests);
        f("blobs", self.blobs);
        f("bytes", self.bytes);
        f("quota_bytes", self.quota_bytes);
        f("immutable_tags", self.immutable_tags);
    }
};
/// GET /v1/registry
struct RegistryUsage {
    std::int64_t bytes = 0;                                   ///< of all blobs (each once) and manifests
    std::int64_t quota_bytes = 0, repository_quota_bytes = 0; ///< as the server was started; 0: none
    std::int64_t free_bytes = 0, free_floor_bytes = 0;
    std::int64_t quarantined = 0; ///< damaged blobs set aside and not yet replaced
    std::vector<RegistryRepositoryUsage> repositories;
    static constexpr auto fields(auto& self, auto&& f) {
        f("bytes", self.bytes);
        f("quota_bytes", self.quota_bytes);
        f("repository_quota_bytes", self.repository_quota_bytes);
        f("free_bytes", self.free_bytes);
        f("free_floor_bytes", self.free_floor_bytes);
        f("quarantined", self.quarantined);
        f("repositories", self.repositories);
    }
};
/// PUT /v1/registry/settings: what is not given stays. Answers the repository's usage.
struct RegistrySettingsRequest {
    std::string repository; ///< made if it does not exist
    std::optional<bool> immutable_tags;
    std::optional<std::int64_t> quota_bytes; ///< 0: none of its own
    static constexpr auto fields(auto& self, auto&& f) {
        f("repository", self.repository);
        f("immutable_tags", self.immutable_tags);
        f("quota_bytes", self.quota_bytes);
    }
};

} // namespace consign::protocol

#define CONSIGN_REGISTRY_API_CODECS(X)                                                                       \
    X(protocol::RegistryGcRequest)                                                                           \
    X(protocol::RegistryGcReport)                                                                            \
    X(protocol::RegistryScrubRequest)                                                                        \
    X(protocol::RegistryScrubReport)                                                                         \
    X(protocol::RegistryUsage)                                                                               \
    X(protocol::RegistryRepositoryUsage)                                                                     \
    X(protocol::RegistrySettingsRequest)
namespace consign::json {
template <>
struct EnumNames<protocol::RegistryRunState> {
    static constexpr std::array<std::pair<protocol::RegistryRunState, std::string_view>, 3> names{
        {{protocol::RegistryRunState::running, "running"},
         {protocol::RegistryRunState::done, "done"},
         {protocol::RegistryRunState::failed, "failed"}}};
};
CONSIGN_REGISTRY_API_CODECS(CONSIGN_JSON_EXTERN)
} // namespace consign::json
