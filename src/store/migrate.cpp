#include "migrate.hpp"
#include "consign/base/file.hpp"
#include <fcntl.h>
#include <format>

namespace consign::store {

namespace {

Result<void> check_numbers(std::span<const Migration> migrations) {
    for (int expected = 1; const auto& migration : migrations)
        if (migration.number != expected++)
            return fail(Code::internal,
                        std::format("migration {} stands where {} belongs", migration.number, expected - 1));
    return {};
}

Result<int> current_version(SqliteConnection& connection) {
    CONSIGN_TRY(table, connection.query_one(
                           "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'", {},
                           [](const Row&) { return true; }));
    if (!table) return 0;
    CONSIGN_TRY(number,
                connection.query_one("SELECT coalesce(max(number), 0) FROM schema_version", {},
                                     [](const Row& row) { return static_cast<int>(row.integer(0)); }));
    return number.value_or(0);
}

/// A consistent copy, complete or absent: written beside its place and renamed.
Result<void> snapshot(SqliteConnection& connection, const std::filesystem::path& path, int version) {
    const auto target = path.string() + std::format(".v{}.backup", version);
    const auto temporary = target + ".part";
    // VACUUM INTO takes an existing file only if it is empty; made here so that it is private from the start.
    CONSIGN_TRY(file, open_file(temporary, O_RDWR | O_CREAT | O_TRUNC, 0600));
    CONSIGN_CHECK(connection.execute("VACUUM INTO $1", {temporary}));
    if (::fsync(file.get()) != 0) return fail_errno("fsync " + temporary, errno);
    if (::rename(temporary.c_str(), target.c_str()) != 0) return fail_errno("rename " + temporary, errno);
    return fsync_directory(path.has_parent_path() ? path.parent_path() : ".");
}

Result<void> apply_steps(SqliteConnection& connection, const Migration& migration) {
    CONSIGN_CHECK(connection.run_script(migration.sql));
    CONSIGN_TRY(broken, connection.query_one("SELECT \"table\" FROM pragma_foreign_key_check", {},
                                             [](const Row& row) { return row.string(0); }));
    if (broken) return fail(Code::corrupt, "rows of table " + *broken + " refer to rows that do not exist");
    CONSIGN_CHECK(connection.execute("INSERT INTO schema_version (number, applied_at) VALUES ($1, $2)",
                                     {migration.number, SystemClock().now()}));
    return connection.run("COMMIT");
}

Result<void> apply(SqliteConnection& connection, const Migration& migration) {
    CONSIGN_CHECK(connection.run("BEGIN IMMEDIATE"));
    auto applied = apply_steps(connection, migration);
    if (!applied && connection.in_transaction()) (void)connection.run("ROLLBACK");
    return applied;
}

Result<void> apply_missing(SqliteConnection& connection, std::span<const Migration> missing) {
    CONSIGN_CHECK(connection.run("CREATE TABLE IF NOT EXISTS schema_version "
                                 "(number INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL)"));
    for (const auto& migration : missing)
        if (auto done = apply(connection, migration); !done)
            return std::unexpected(
                with_context(std::move(done).error(), std::format("migration {}", migration.number)));
    return {};
}

} // namespace

Result<void> migrate(SqliteConnection& connection, const std::filesystem::path& path,
                     std::span<const Migration> migrations) {
    CONSIGN_CHECK(check_numbers(migrations));
    CONSIGN_TRY(version, current_version(connection));
    const int known = static_cast<int>(migrations.size());
    if (version > known)
        return fail(
            Code::unsupported,
            std::format("{} is at schema version {}, this program knows {}", path.string(), version, known),
            "run the newer version of consign that wrote it, or restore a backup");
    if (version == known) return {};
    if (version > 0)
        if (auto copied = snapshot(connection, path, version); !copied)
            return std::unexpected(with_context(std::move(copied).error(),
                                                "cannot back up " + path.string() + " before the upgrade"));

    // Rebuilding a table drops it for a moment: references are checked at the end of each step instead.
    CONSIGN_CHECK(connection.run("PRAGMA foreign_keys = OFF"));
    auto applied = apply_missing(connection, migrations.subspan(static_cast<std::size_t>(version)));
    CONSIGN_CHECK(connection.run("PRAGMA foreign_keys = ON"));
    if (!applied) return std::unexpected(with_context(std::move(applied).error(), path.string()));
    return {};
}

} // namespace consign::store
