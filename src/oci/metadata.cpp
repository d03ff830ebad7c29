#include "metadata.hpp"

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

Result<void> require_children(Connection& c, const std::string& repository, const Manifest& manifest) {
    for (const auto& blob : manifest.blobs()) {
        CONSIGN_TRY(size, blob_size(c, repository, blob.digest));
        if (!size)
            return fail(Code::not_found,
                        "repository " + repository + " has no blob " + blob.digest.str() +
                            ", which the manifest names",
                        "push the blobs before the manifest");
        if (*size != blob.size)
            return fail(Code::invalid_argument, std::format("manifest: blob {} has {} bytes, not {}",
                                                            blob.digest.str(), *size, blob.size));
    }
    for (const auto& child : manifest.manifests) {
        CONSIGN_TRY(found, c.query_one("SELECT 1 FROM manifests WHERE repository = $1 AND digest = $2",
                                       {repository, child.digest.str()}, kExists));
        if (!found)
            return fail(Code::not_found,
                        "repository " + repository + " has no manifest " + child.digest.str() +
                            ", which the index names",
                        "push the manifests before the index");
    }
    return {};
}

Result<void> add_reference(Transaction& tx, const std::string& repository, const Digest& parent,
                           const Digest& child, bool is_manifest) {
    CONSIGN_CHECK(tx.execute(
        "INSERT INTO manifest_refs (repository, parent, child, is_manifest) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT DO NOTHING",
        {repository, parent.str(), child.str(), is_manifest}));
    return {};
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

Result<void> link_blob(Transaction& tx, const std::string& repository, const Digest& digest,
                       std::uint64_t size) {
    CONSIGN_CHECK(ensure_repository(tx, repository));
    CONSIGN_CHECK(
        tx.execute("INSERT INTO links (repository, digest, size) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                   {repository, digest.str(), size}));
    return {};
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

Result<std::optional<ManifestBytes>> manifest(Connection& c, const std::string& repository,
                                              const std::string& digest) {
    CONSIGN_TRY(parsed, Digest::parse(digest));
    return c.query_one(
        "SELECT media_type, size, body, artifact_type FROM manifests WHERE repository = $1 AND digest = $2",
        {repository, digest}, [&](const store::Row& row) {
            ManifestBytes out;
            out.descriptor.media_type = row.string(0);
            out.descriptor.digest = parsed;
            out.descriptor.size = static_cast<std::uint64_t>(row.integer(1));
            out.body = std::string(as_text(row.blob(2)));
            return out;
        });
}

Result<void> put_manifest(Transaction& tx, const std::string& repository, const NewManifest& manifest,
                          const std::string& tag) {
    const auto& [bytes, parsed] = manifest;
    const auto& digest = bytes.descriptor.digest;
    CONSIGN_CHECK(require_children(tx, repository, parsed));
    CONSIGN_CHECK(ensure_repository(tx, repository));
    CONSIGN_CHECK(tx.execute(
        "INSERT INTO manifests (repository, digest, media_type, size, body, artifact_type, "
        "annotations, subject) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
        // The same digest again repairs a row that was damaged: the new body has just been verified.
        "ON CONFLICT (repository, digest) DO UPDATE SET body = excluded.body, size = excluded.size, "
        "media_type = excluded.media_type",
        {repository, digest.str(), parsed.media_type, bytes.body.size(), as_bytes(bytes.body),
         shown_artifact_type(parsed), json::to_text(parsed.annotations),
         parsed.subject ? std::optional(parsed.subject->digest.str()) : std::nullopt}));
    for (const auto& blob : parsed.blobs())
        CONSIGN_CHECK(add_reference(tx, repository, digest, blob.digest, false));
    for (const auto& child : parsed.manifests)
        CONSIGN_CHECK(add_reference(tx, repository, digest, child.digest, true));
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

Result<std::vector<Descriptor>> referrers(Connection& c, const std::string& repository, const Digest& digest,
                                          const std::optional<std::string>& artifact_type) {
    std::vector<Descriptor> out;
    Result<void> decoded;
    CONSIGN_CHECK(c.query("SELECT digest, media_type, size, artifact_type, annotations FROM manifests WHERE "
                          "repository = $1 AND subject = $2 "
                          "AND ($3 IS NULL OR artifact_type = $3) ORDER BY digest",
                          {repository, digest.str(), artifact_type}, [&](const store::Row& row) {
                              auto name = Digest::parse(row.text(0));
                              auto annotations =
                                  json::decode_text<std::map<std::string, std::string>>(row.text(4));
                              if (!name) decoded = std::unexpected(name.error());
                              if (!annotations) decoded = std::unexpected(annotations.error());
                              if (!decoded) return false;
                              Descriptor one;
                              one.media_type = row.string(1);
                              one.digest = *name;
                              one.size = static_cast<std::uint64_t>(row.integer(2));
                              one.annotations = std::move(*annotations);
                              if (!row.is_null(3)) one.artifact_type = row.string(3);
                              out.push_back(std::move(one));
                              return true;
                          }));
    CONSIGN_CHECK(std::move(decoded));
    return out;
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
