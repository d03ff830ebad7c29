#pragma once
// A small schema in a scratch directory, for the tests of the store.
#include "consign/base/file.hpp"
#include "consign/store/sqlite.hpp"
#include <catch2/catch.hpp>

namespace consign::store::test {

inline constexpr Migration kFirst{
    1, "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, data BLOB, at REAL);"
       "CREATE TABLE part (item INTEGER NOT NULL REFERENCES item(id), late INTEGER "
       "REFERENCES item(id) DEFERRABLE INITIALLY DEFERRED);"};
inline constexpr Migration kSecond{2, "ALTER TABLE item ADD COLUMN note TEXT NOT NULL DEFAULT 'none';"};

struct Fixture {
    TemporaryDirectory directory = std::move(*TemporaryDirectory::make("store"));
    std::filesystem::path path = directory.path() / "test.db";

    std::unique_ptr<Database> open(std::vector<Migration> migrations = {kFirst},
                                   SqliteOptions options = {}) const {
        auto database = open_sqlite(path, migrations, options);
        if (!database) FAIL(to_string(database.error()));
        return std::move(*database);
    }
};

inline Result<std::int64_t> insert(Transaction& tx, std::string_view name) {
    return tx.execute("INSERT INTO item (name) VALUES ($1)", {name});
}
inline Result<std::int64_t> count(Connection& c) {
    CONSIGN_TRY(n,
                c.query_one("SELECT count(*) FROM item", {}, [](const Row& row) { return row.integer(0); }));
    return *n;
}
inline std::int64_t count_of(Database& database) { return database.read_blocking(count).value(); }

} // namespace consign::store::test
