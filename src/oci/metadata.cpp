#include "metadata.hpp"
#include <format>
#include <map>

namespace consign::oci::metadata {

namespace {

constexpr auto kExists = [](const store::Row&) { return true; };

Result<Page> page(Connection& c, std::string_view sql, std::initializer_list<store::Value> parameters,
                  std::size_t limit) {
    CONSIGN_TRY(items, c.query_all(sql, parameters, [](const store::Row& row) { return row.string(0); }));
    Page out{.items = std::move(items), .more = false};
    if (out.items.size() > limit) {
        out.items.resize(limit);
        out.more = true;
    }
    return out;
}

Result<void> ensure_repository(Transaction& tx, const std::string& name) {
    CONSIGN_CHECK(tx.execute("INSERT INTO repositories (name) VALUES ($1) ON CONFLICT DO NOTHING", {name}));
    return {};
}

/// Layers that are fetched from elsewhere and need not be pushed (image-spec, "Non-Distributable Layers").
bool is_foreign(const Descriptor& blob) {
    return blob.media_type.starts_with("application/vnd.docker.image.rootfs.foreign.") ||
           blob.media_type.starts_with("application/vnd.oci.image.layer.nondistributable.");
}

Result<std::optional<std::uint64_t>> manifest_size(Connection& c, const std::string& repository,
                                                   const Digest& digest) {
    return c.query_one("SELECT size FROM manifests WHERE repository = $1 AND digest = $2",
                       {repository, digest.str()},
                       [](const store::Row& row) { return static_cast<std::uint64_t>(row.integer(0)); });
}

std::unexpected<Error> missing(const std::string& repository, const char* what, const Digest& digest) {
    return fail(Code::not_found,
                "repository " + repository + " has no " + what + " " + digest.str() +
                    ", which the manifest names",
                "push what a manifest names before the manifest");
}

struct Child {
    std::uint64_t size = 0;
    bool is_manifest = false;
};
/// What of the repository the manifest needs. A body of 4 MiB may name the same blob ten thousand times: each
/// is looked for once.
Result<std::map<Digest, Child>> children_of(Connection& c, const std::string& repository,
                                            const Manifest& manifest) {
    std::map<Digest, Child> out;
    const auto fits = [](const Descriptor& named, const Child& found) -> Result<void> {
        if (named.size == found.size) return {};
        return fail(Code::invalid_argument, std::format("manifest: {} has {} bytes, not {}",
                                                        named.digest.str(), found.size, named.size));
    };
    for (const auto& blob : manifest.blobs()) {
        if (!out.contains(blob.digest)) {
            CONSIGN_TRY(size, blob_size(c, repository, blob.digest));
            if (!size && is_foreign(blob)) continue;
            if (!size) return missing(repository, "blob", blob.digest);
            out[blob.digest] = {.size = *size, .is_manifest = false};
        }
        CONSIGN_CHECK(fits(blob, out[blob.digest]));
    }
    for (const auto& child : manifest.manifests) {
        if (!out.contains(child.digest)) {
            CONSIGN_TRY(size, manifest_size(c, repository, child.digest));
            const bool is_manifest = size.has_value();
            if (!size) { // the index of a build cache names blobs
                CONSIGN_TRY(as_blob, blob_size(c, repository, child.digest));
                size = as_blob;
            }
            if (!size) return missing(repository, "manifest", child.digest);
            out[child.digest] = {.size = *size, .is_manifest = is_manifest};
        }
        CONSIGN_CHECK(fits(child, out[child.digest]));
    }
    return out;
}

Result<void> add_reference(Transaction& tx, const std::string& repository, const Digest& parent,
                           const Digest& child, bool is_manifest) {
    CONSIGN_CHECK(tx.execute(
        "INSERT INTO manifest_refs (repository, parent, child, is_manifest) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT DO NOTHING",
        {repository, parent.str(), child.str(), is_manifest}));
    return {};
}

std::uint64_t minus(std::uint64_t limit, std::uint64_t used) { return limit > used ? limit - used : 0; }

struct Rooms {
    std::uint64_t total = UINT64_MAX, repository = UINT64_MAX;
};
Result<Rooms> rooms(Connection& c, const std::string& repository, const Limits& limits) {
    Rooms out;
    if (limits.total > 0) {
        CONSIGN_TRY(used, c.query_one("SELECT blob_bytes + manifest_bytes FROM totals", {},
                                      [](const store::Row& row) {
                                          return static_cast<std::uint64_t>(row.integer(0));
                                      }));
        out.total = minus(limits.total, used.value_or(0));
    }
    struct Usage {
        std::uint64_t bytes = 0, quota = 0;
    };
    CONSIGN_TRY(usage, c.query_one("SELECT bytes, quota_bytes FROM repositories WHERE name = $1",
                                   {repository}, [](const store::Row& row) {
                                       return Usage{static_cast<std::uint64_t>(row.integer(0)),
                                                    static_cast<std::uint64_t>(row.integer(1))};
                                   }));
    const auto own = usage.value_or(Usage{});
    if (const auto quota = own.quota > 0 ? own.quota : limits.repository; quota > 0)
        out.repository = minus(quota, own.bytes);
    return out;
}

Result<void> require_room(Connection& c, const std::string& repository, const Limits& limits,
                          std::uint64_t more_here, std::uint64_t more_in_total) {
    CONSIGN_TRY(left, rooms(c, repository, limits));
    if (more_here > left.repository)
        return fail(Code::permission_denied,
                    std::format("{} bytes do not fit into the quota of repository {}, which has room for {}",
                                more_here, repository, left.repository),
                    "delete what is not needed and have the registry's operator collect it, or ask for a "
                    "larger quota");
    if (more_in_total > left.total)
        return fail(Code::permission_denied,
                    std::format("{} bytes do not fit into the registry's quota, which has room for {}",
                                more_in_total, left.total),
                    "delete what is not needed and have the registry's operator collect it, or ask for a "
                    "larger quota");
    return {};
}

Result<void> require_movable(Connection& c, const std::string& repository, const std::string& tag,
                             const Digest& digest) {
    CONSIGN_TRY(held, c.query_one("SELECT t.digest FROM tags t JOIN repositories r ON r.name = t.repository "
                                  "WHERE t.repository = $1 AND t.tag = $2 AND r.immutable_tags = 1",
                                  {repository, tag}, [](const store::Row& row) { return row.string(0); }));
    if (!held || *held == digest.str()) return {};
    return fail(Code::permission_denied,
                "tag " + tag + " of repository " + repository + " is " + *held +
                    ", and tags are immutable there",
                "push under another tag");
}

std::optional<std::string> shown_artifact_type(const Manifest& manifest) {
    if (manifest.artifact_type && !manifest.artifact_type->empty()) return manifest.artifact_type;
    if (manifest.config) return manifest.config->media_type;
    return std::nullopt;
}

} // namespace

Result<bool> has_repository(Connection& c, const std::string& name) {
    CONSIGN_TRY(found, c.query_one("SELECT 1 FROM repositories WHERE name = $1", {name}, kExists));
    return found.has_value();
}

Result<Page> repositories(Connection& c, const std::string& after, std::size_t limit) {
    return page(c, "SELECT name FROM repositories WHERE name > $1 ORDER BY name LIMIT $2", {after, limit + 1},
                limit);
}

Result<Page> tags(Connection& c, const std::string& repository, const std::string& after, std::size_t limit) {
    return page(c, "SELECT tag FROM tags WHERE repository = $1 AND tag > $2 ORDER BY tag LIMIT $3",
                {repository, after, limit + 1}, limit);
}

Result<std::optional<std::uint64_t>> blob_size(Connection& c, const std::string& repository,
                                               const Digest& digest) {
    return c.query_one("SELECT size FROM links WHERE repository = $1 AND digest = $2",
                       {repository, digest.str()},
                       [](const store::Row& row) { return static_cast<std::uint64_t>(row.integer(0)); });
}

Result<std::uint64_t> room(Connection& c, const std::string& repository, const std::optional<Digest>& digest,
                           const Limits& limits) {
    CONSIGN_TRY(left, rooms(c, repository, limits));
    if (digest) {
        CONSIGN_TRY(linked, blob_size(c, repository, *digest));
        if (linked) return UINT64_MAX;
        CONSIGN_TRY(stored, c.query_one("SELECT 1 FROM blobs WHERE digest = $1", {digest->str()}, kExists));
        if (stored) return left.repository;
    }
    return std::min(left.repository, left.total);
}

Result<bool> has_quotas(Connection& c) {
    CONSIGN_TRY(found, c.query_one("SELECT 1 FROM repositories WHERE quota_bytes > 0 LIMIT 1", {}, kExists));
    return found.has_value();
}

Result<std::optional<Link>> link(Connection& c, const std::string& repository, const Digest& digest) {
    return c.query_one(
        "SELECT l.size, l.touched_at, b.stamp FROM links l JOIN blobs b ON b.digest = l.digest "
        "WHERE l.repository = $1 AND l.digest = $2",
        {repository, digest.str()}, [](const store::Row& row) {
            return Link{.size = static_cast<std::uint64_t>(row.integer(0)),
                        .touched_at = row.time(1),
                        .stamp = row.string(2)};
        });
}

Result<void> link_blob(Transaction& tx, const std::string& repository, const Digest& digest, const Link& link,
                       const Limits& limits) {
    CONSIGN_CHECK(ensure_repository(tx, repository));
    CONSIGN_TRY(linked, blob_size(tx, repository, digest));
    if (!linked) {
        CONSIGN_TRY(stored, tx.query_one("SELECT 1 FROM blobs WHERE digest = $1", {digest.str()}, kExists));
        CONSIGN_CHECK(require_room(tx, repository, limits, link.size, stored ? 0 : link.size));
    }
    CONSIGN_CHECK(
        tx.execute("INSERT INTO links (repository, digest, size, touched_at) VALUES ($1, $2, $3, $4) "
                   "ON CONFLICT (repository, digest) DO UPDATE SET touched_at = excluded.touched_at",
                   {repository, digest.str(), link.size, link.touched_at}));
    if (!link.stamp.empty()) CONSIGN_CHECK(verified(tx, digest, link.stamp));
    return {};
}

Result<void> verified(Transaction& tx, const Digest& digest, const std::string& stamp) {
    CONSIGN_CHECK(tx.execute("UPDATE blobs SET stamp = $2, quarantined_at = NULL WHERE digest = $1",
                             {digest.str(), stamp}));
    return {};
}

Result<bool> touch_link(Transaction& tx, const std::string& repository, const Digest& digest, Time now) {
    CONSIGN_TRY(rows, tx.execute("UPDATE links SET touched_at = $3 WHERE repository = $1 AND digest = $2",
                                 {repository, digest.str(), now}));
    return rows > 0;
}

Result<bool> touch_manifest(Transaction& tx, const std::string& repository, const std::string& digest,
                            Time now) {
    CONSIGN_TRY(rows, tx.execute("UPDATE manifests SET touched_at = $3 WHERE repository = $1 AND digest = $2",
                                 {repository, digest, now}));
    return rows > 0;
}

Result<bool> unlink_blob(Transaction& tx, const std::string& repository, const Digest& digest) {
    CONSIGN_TRY(gone, tx.execute("DELETE FROM links WHERE repository = $1 AND digest = $2",
                                 {repository, digest.str()}));
    return gone > 0;
}

Result<std::optional<std::string>> resolve_tag(Connection& c, const std::string& repository,
                                               const std::string& tag) {
    return c.query_one("SELECT digest FROM tags WHERE repository = $1 AND tag = $2", {repository, tag},
                       [](const store::Row& row) { return row.string(0); });
}

Result<std::optional<FoundManifest>> manifest(Connection& c, const std::string& repository,
                                              const std::string& digest) {
    CONSIGN_TRY(parsed, Digest::parse(digest));
    return c.query_one(
        "SELECT media_type, body, touched_at FROM manifests WHERE repository = $1 AND digest = $2",
        {repository, digest}, [&](const store::Row& row) {
            FoundManifest out;
            out.bytes.descriptor.media_type = row.string(0);
            out.bytes.descriptor.digest = parsed;
            out.bytes.body = std::string(as_text(row.blob(1)));
            out.bytes.descriptor.size = out.bytes.body.size();
            out.touched_at = row.time(2);
            return out;
        });
}

Result<void> put_manifest(Transaction& tx, const std::string& repository, const NewManifest& manifest,
                          const std::string& tag, Time now, const Limits& limits) {
    const auto& [bytes, parsed] = manifest;
    const auto& digest = bytes.descriptor.digest;
    CONSIGN_TRY(children, children_of(tx, repository, parsed));
    CONSIGN_CHECK(ensure_repository(tx, repository));
    if (!tag.empty()) CONSIGN_CHECK(require_movable(tx, repository, tag, digest));
    CONSIGN_TRY(known, touch_manifest(tx, repository, digest.str(), now));
    if (!known) CONSIGN_CHECK(require_room(tx, repository, limits, bytes.body.size(), bytes.body.size()));
    CONSIGN_CHECK(tx.execute(
        "INSERT INTO manifests (repository, digest, media_type, size, body, artifact_type, "
        "annotations, subject, touched_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) "
        // The same digest again repairs a row that was damaged: the new body has just been verified.
        "ON CONFLICT (repository, digest) DO UPDATE SET body = excluded.body, size = excluded.size, "
        "media_type = excluded.media_type",
        {repository, digest.str(), parsed.media_type, bytes.body.size(), as_bytes(bytes.body),
         shown_artifact_type(parsed), json::to_text(parsed.annotations),
         parsed.subject ? std::optional(parsed.subject->digest.str()) : std::nullopt, now}));
    for (const auto& [child, is] : children)
        CONSIGN_CHECK(add_reference(tx, repository, digest, child, is.is_manifest));
    if (!tag.empty())
        CONSIGN_CHECK(tx.execute("INSERT INTO tags (repository, tag, digest) VALUES ($1, $2, $3) "
                                 "ON CONFLICT (repository, tag) DO UPDATE SET digest = excluded.digest",
                                 {repository, tag, digest.str()}));
    return {};
}

Result<bool> delete_manifest(Transaction& tx, const std::string& repository, const Digest& digest) {
    CONSIGN_CHECK(
        tx.execute("DELETE FROM tags WHERE repository = $1 AND digest = $2", {repository, digest.str()}));
    CONSIGN_TRY(gone, tx.execute("DELETE FROM manifests WHERE repository = $1 AND digest = $2",
                                 {repository, digest.str()}));
    return gone > 0;
}

Result<bool> delete_tag(Transaction& tx, const std::string& repository, const std::string& tag) {
    CONSIGN_TRY(gone, tx.execute("DELETE FROM tags WHERE repository = $1 AND tag = $2", {repository, tag}));
    return gone > 0;
}

Result<ReferrersPage> referrers(Connection& c, const std::string& repository, const Digest& digest,
                                const std::optional<std::string>& artifact_type, const Slice& slice) {
    ReferrersPage out;
    std::size_t bytes = 0;
    Result<void> decoded;
    CONSIGN_CHECK(
        c.query("SELECT digest, media_type, size, artifact_type, annotations FROM manifests WHERE "
                "repository = $1 AND subject = $2 AND digest > $4 "
                "AND ($3 IS NULL OR artifact_type = $3) ORDER BY digest",
                {repository, digest.str(), artifact_type, slice.after}, [&](const store::Row& row) {
                    bytes += row.text(4).size();
                    out.more = out.items.size() >= slice.count || (!out.items.empty() && bytes > slice.bytes);
                    if (out.more) return false;
                    auto name = Digest::parse(row.text(0));
                    auto annotations = json::decode_text<std::map<std::string, std::string>>(row.text(4));
                    if (!name) decoded = std::unexpected(name.error());
                    if (!annotations) decoded = std::unexpected(annotations.error());
                    if (!decoded) return false;
                    Descriptor one;
                    one.media_type = row.string(1);
                    one.digest = *name;
                    one.size = static_cast<std::uint64_t>(row.integer(2));
                    one.annotations = std::move(*annotations);
                    if (!row.is_null(3)) one.artifact_type = row.string(3);
                    out.items.push_back(std::move(one));
                    return true;
                }));
    CONSIGN_CHECK(std::move(decoded));
    return out;
}

Result<std::vector<std::string>> repositories_with(Connection& c, const Digest& digest) {
    return c.query_all("SELECT repository FROM links WHERE digest = $1 LIMIT 100", {digest.str()},
                       [](const store::Row& row) { return row.string(0); });
}

Result<bool> in_closure(Connection& c, const std::string& repository, const Digest& root,
                        const Digest& digest) {
    if (root == digest) return true;
    // UNION drops what was seen, so the walk ends whatever the edges are.
    CONSIGN_TRY(
        found, c.query_one(
                   "WITH RECURSIVE closure (digest, is_manifest) AS (VALUES ($2, 1) UNION "
                   "SELECT r.child, r.is_manifest FROM manifest_refs r JOIN closure c ON r.parent = c.digest "
                   "WHERE r.repository = $1 AND c.is_manifest = 1) "
                   "SELECT 1 FROM closure WHERE digest = $3",
                   {repository, root.str(), digest.str()}, kExists));
    return found.has_value();
}

} // namespace consign::oci::metadata
