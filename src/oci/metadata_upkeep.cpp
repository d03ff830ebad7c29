#include "metadata_upkeep.hpp"

namespace consign::oci::metadata {

namespace {

constexpr auto kExists = [](const store::Row&) { return true; };
constexpr auto kNumber = [](const store::Row& row) { return static_cast<std::uint64_t>(row.integer(0)); };

/// Rows of (digest, bytes); one that is no digest is not ours to judge.
Result<std::vector<Sized>> sized(Connection& c, std::string_view sql,
                                 std::initializer_list<store::Value> parameters) {
    std::vector<Sized> out;
    CONSIGN_CHECK(c.query(sql, parameters, [&](const store::Row& row) {
        if (auto digest = Digest::parse(row.text(0)))
            out.push_back({*digest, static_cast<std::uint64_t>(row.integer(1))});
        return true;
    }));
    return out;
}

std::string as_json(const std::set<Digest>& digests) {
    auto list = json::Value::array();
    for (const auto& digest : digests) list.push_back(digest.str());
    return json::dump(list);
}

Result<std::vector<std::string>> tags_leading_to(Connection& c, const std::string& repository,
                                                 const std::string& manifest) {
    return c.query_all(
        "WITH RECURSIVE up (digest) AS (VALUES ($2) UNION SELECT r.parent FROM manifest_refs r "
        "JOIN up ON r.child = up.digest WHERE r.repository = $1 AND r.is_manifest = 1) "
        "SELECT tag FROM tags WHERE repository = $1 AND digest IN (SELECT digest FROM up) "
        "ORDER BY tag LIMIT 20",
        {repository, manifest}, [](const store::Row& row) { return row.string(0); });
}

// The usage of repositories, one or all.
constexpr std::string_view kUsage =
    "SELECT name, (SELECT COUNT(*) FROM tags t WHERE t.repository = name), "
    "(SELECT COUNT(*) FROM manifests m WHERE m.repository = name), "
    "(SELECT COUNT(*) FROM links l WHERE l.repository = name), bytes, quota_bytes, immutable_tags "
    "FROM repositories";

RepositoryUsage usage_row(const store::Row& row) {
    const auto number = [&](int column) { return static_cast<std::uint64_t>(row.integer(column)); };
    return {.repository = row.string(0),
            .tags = number(1),
            .manifests = number(2),
            .blobs = number(3),
            .bytes = number(4),
            .quota_bytes = number(5),
            .immutable_tags = row.boolean(6)};
}

} // namespace

Result<bool> has_blob_row(Connection& c, const Digest& digest) {
    CONSIGN_TRY(found, c.query_one("SELECT 1 FROM blobs WHERE digest = $1", {digest.str()}, kExists));
    return found.has_value();
}

Result<void> quarantined(Transaction& tx, const Digest& digest, const std::string& stamp, Time now) {
    CONSIGN_CHECK(tx.execute(
        "UPDATE blobs SET quarantined_at = $3, stamp = '' WHERE digest = $1 AND (stamp = $2 OR stamp = '')",
        {digest.str(), stamp, now}));
    return {};
}

Result<std::vector<Referrer>> blob_referrers(Connection& c, const Digest& digest) {
    struct Found {
        std::string repository, manifest;
    };
    CONSIGN_TRY(found,
                c.query_all("SELECT l.repository, COALESCE(r.parent, '') FROM "
                            "(SELECT repository FROM links WHERE digest = $1 UNION "
                            " SELECT repository FROM manifest_refs WHERE child = $1 AND is_manifest = 0) l "
                            "LEFT JOIN manifest_refs r ON r.child = $1 AND r.repository = l.repository "
                            "AND r.is_manifest = 0 ORDER BY l.repository, r.parent LIMIT $2",
                            {digest.str(), kReferrersTold}, [](const store::Row& row) {
                                return Found{row.string(0), row.string(1)};
                            }));
    std::vector<Referrer> out;
    for (const auto& one : found) {
        Referrer referrer{.repository = one.repository, .manifest = {}, .tags = {}};
        if (const auto manifest = Digest::parse(one.manifest)) {
            CONSIGN_TRY(made, manifest_referrer(c, one.repository, *manifest));
            referrer = std::move(made);
        }
        out.push_back(std::move(referrer));
    }
    return out;
}

Result<Referrer> manifest_referrer(Connection& c, const std::string& repository, const Digest& digest) {
    CONSIGN_TRY(tags, tags_leading_to(c, repository, digest.str()));
    return Referrer{.repository = repository, .manifest = digest, .tags = std::move(tags)};
}

Result<std::vector<Sized>> dead_manifests(Connection& c, const std::string& repository, Time touched_before,
                                          const std::set<Digest>& roots) {
    return sized(
        c,
        "WITH RECURSIVE live (digest) AS ("
        "SELECT digest FROM tags WHERE repository = $1 "
        "UNION SELECT digest FROM manifests WHERE repository = $1 AND touched_at >= $2 "
        "UNION SELECT value FROM json_each($3) "
        "UNION SELECT r.child FROM live JOIN manifest_refs r ON r.repository = $1 AND r.parent = "
        "live.digest AND r.is_manifest = 1 "
        "UNION SELECT m.digest FROM live JOIN manifests m ON m.repository = $1 AND m.subject = "
        "live.digest) "
        "SELECT digest, size FROM manifests WHERE repository = $1 AND digest NOT IN (SELECT digest FROM "
        "live) ORDER BY digest",
        {repository, touched_before, as_json(roots)});
}

Result<std::vector<Sized>> dead_links(Connection& c, const std::string& repository, Time touched_before,
                                      const std::set<Digest>& dying) {
    return sized(
        c,
        "SELECT l.digest, l.size FROM links l WHERE l.repository = $1 AND l.touched_at < $2 AND NOT EXISTS "
        "(SELECT 1 FROM manifest_refs r WHERE r.child = l.digest AND r.repository = $1 AND "
        "r.is_manifest = 0 AND r.parent NOT IN (SELECT value FROM json_each($3))) ORDER BY l.digest",
        {repository, touched_before, as_json(dying)});
}

Result<bool> collect_manifest(Transaction& tx, const std::string& repository, const Digest& digest,
                              Time touched_before) {
    CONSIGN_TRY(gone,
                tx.execute("DELETE FROM manifests WHERE repository = $1 AND digest = $2 AND touched_at < $3 "
                           "AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.repository = $1 AND t.digest = $2) "
                           "AND NOT EXISTS (SELECT 1 FROM manifest_refs r WHERE r.child = $2 AND "
                           "r.repository = $1 AND r.is_manifest = 1) "
                           "AND NOT EXISTS (SELECT 1 FROM manifests s WHERE s.repository = $1 AND "
                           "s.digest = manifests.subject)",
                           {repository, digest.str(), touched_before}));
    return gone > 0;
}

Result<bool> collect_link(Transaction& tx, const std::string& repository, const Digest& digest,
                          Time touched_before) {
    CONSIGN_TRY(gone,
                tx.execute("DELETE FROM links WHERE repository = $1 AND digest = $2 AND touched_at < $3 "
                           "AND NOT EXISTS (SELECT 1 FROM manifest_refs r WHERE r.child = $2 AND "
                           "r.repository = $1 AND r.is_manifest = 0)",
                           {repository, digest.str(), touched_before}));
    return gone > 0;
}

Result<std::vector<Sized>> unlinked_blobs(Connection& c, const std::string& after, std::size_t limit) {
    return sized(c, "SELECT digest, size FROM blobs WHERE links = 0 AND digest > $1 ORDER BY digest LIMIT $2",
                 {after, limit});
}

Result<bool> doom_blob(Transaction& tx, const Digest& digest) {
    CONSIGN_TRY(rows,
                tx.execute("UPDATE blobs SET doomed = 1 WHERE digest = $1 AND links = 0", {digest.str()}));
    return rows > 0;
}

Result<bool> is_doomed(Connection& c, const Digest& digest) {
    CONSIGN_TRY(found, c.query_one("SELECT 1 FROM blobs WHERE digest = $1 AND links = 0 AND doomed = 1",
                                   {digest.str()}, kExists));
    return found.has_value();
}

Result<void> forget_blob(Transaction& tx, const Digest& digest) {
    CONSIGN_CHECK(tx.execute("DELETE FROM blobs WHERE digest = $1", {digest.str()}));
    return {};
}

Result<std::uint64_t> link_count(Connection& c, const Digest& digest) {
    CONSIGN_TRY(links, c.query_one("SELECT links FROM blobs WHERE digest = $1", {digest.str()}, kNumber));
    return links.value_or(0);
}

Result<Counts> counts(Connection& c) {
    CONSIGN_TRY(manifests, c.query_one("SELECT COUNT(*) FROM manifests", {}, kNumber));
    CONSIGN_TRY(links, c.query_one("SELECT COUNT(*) FROM links", {}, kNumber));
    CONSIGN_TRY(blobs, c.query_one("SELECT COUNT(*) FROM blobs", {}, kNumber));
    return Counts{manifests.value_or(0), links.value_or(0), blobs.value_or(0)};
}

Result<std::vector<StoredBlob>> blobs_after(Connection& c, const std::string& after, std::size_t limit) {
    std::vector<StoredBlob> out;
    CONSIGN_CHECK(
        c.query("SELECT digest, size, links, stamp, quarantined_at FROM blobs WHERE digest > $1 ORDER BY "
                "digest LIMIT $2",
                {after, limit}, [&](const store::Row& row) {
                    if (auto digest = Digest::parse(row.text(0)))
                        out.push_back({.blob = {*digest, static_cast<std::uint64_t>(row.integer(1))},
                                       .links = static_cast<std::uint64_t>(row.integer(2)),
                                       .stamp = row.string(3),
                                       .quarantined = !row.is_null(4)});
                    return true;
                }));
    return out;
}

Result<std::vector<ManifestName>> manifests_after(Connection& c, const ManifestName& after,
                                                  std::size_t limit) {
    std::vector<ManifestName> out;
    CONSIGN_CHECK(c.query("SELECT repository, digest FROM manifests WHERE (repository, digest) > ($1, $2) "
                          "ORDER BY repository, digest LIMIT $3",
                          {after.repository, after.digest.str(), limit}, [&](const store::Row& row) {
                              if (auto digest = Digest::parse(row.text(1)))
                                  out.push_back({row.string(0), *digest});
                              return true;
                          }));
    return out;
}

Result<std::uint64_t> stored_bytes(Connection& c) {
    CONSIGN_TRY(bytes, c.query_one("SELECT blob_bytes + manifest_bytes FROM totals", {}, kNumber));
    return bytes.value_or(0);
}

Result<std::vector<Digest>> unlinked_needs(Connection& c, std::size_t limit) {
    std::vector<Digest> out;
    CONSIGN_CHECK(c.query("SELECT DISTINCT r.child FROM manifest_refs r LEFT JOIN links l ON l.repository = "
                          "r.repository AND l.digest = r.child WHERE r.is_manifest = 0 AND l.digest IS NULL "
                          "LIMIT $1",
                          {limit}, [&](const store::Row& row) {
                              if (auto digest = Digest::parse(row.text(0))) out.push_back(*digest);
                              return true;
                          }));
    return out;
}

Result<RegistryUsage> usage(Connection& c) {
    RegistryUsage out;
    CONSIGN_TRY(bytes, stored_bytes(c));
    out.bytes = bytes;
    CONSIGN_TRY(aside,
                c.query_one("SELECT COUNT(*) FROM blobs WHERE quarantined_at IS NOT NULL", {}, kNumber));
    out.quarantined = aside.value_or(0);
    CONSIGN_TRY(rows, c.query_all(std::string(kUsage) + " ORDER BY name", {}, usage_row));
    out.repositories = std::move(rows);
    return out;
}

Result<std::optional<RepositoryUsage>> repository_usage(Connection& c, const std::string& repository) {
    return c.query_one(std::string(kUsage) + " WHERE name = $1", {repository}, usage_row);
}

Result<void> set(Transaction& tx, const std::string& repository, const RepositorySettings& settings) {
    CONSIGN_CHECK(
        tx.execute("INSERT INTO repositories (name) VALUES ($1) ON CONFLICT DO NOTHING", {repository}));
    if (settings.immutable_tags)
        CONSIGN_CHECK(tx.execute("UPDATE repositories SET immutable_tags = $2 WHERE name = $1",
                                 {repository, *settings.immutable_tags}));
    if (settings.quota_bytes)
        CONSIGN_CHECK(tx.execute("UPDATE repositories SET quota_bytes = $2 WHERE name = $1",
                                 {repository, *settings.quota_bytes}));
    return {};
}

} // namespace consign::oci::metadata
