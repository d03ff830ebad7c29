#include "support.hpp"

using namespace consign;
using namespace consign::store;
using namespace consign::store::test;

TEST_CASE_METHOD(Fixture, "a newer schema is refused by name and number", "[store]") {
    open({kFirst, kSecond}).reset();
    const std::vector<Migration> old{kFirst};
    auto refused = open_sqlite(path, old);
    REQUIRE(!refused);
    CHECK(refused.error().code == Code::unsupported);
    CHECK(refused.error().message == path.string() + " is at schema version 2, this program knows 1");
    CHECK(!refused.error().hint.empty());
}

TEST_CASE_METHOD(Fixture, "an upgrade copies the file first", "[store]") {
    {
        auto database = open();
        REQUIRE(database->write_blocking([](Transaction& tx) { return insert(tx, "kept"); }));
    }
    const std::vector<Migration> broken{
        kFirst, {2, "ALTER TABLE item ADD COLUMN note TEXT; CREATE TABLE item (id);"}};
    REQUIRE(!open_sqlite(path, broken)); // undone as a whole: the next upgrade finds version 1
    auto database = open({kFirst, kSecond});
    auto note = database->read_blocking([](Connection& c) {
        return c.query_one("SELECT note FROM item WHERE name = 'kept'", {},
                           [](const Row& row) { return row.string(0); });
    });
    REQUIRE(note);
    CHECK(note->value() == "none");

    const std::vector<Migration> old{kFirst};
    auto backup = open_sqlite(path.string() + ".v1.backup", old);
    REQUIRE(backup);
    CHECK(count_of(**backup) == 1);
    CHECK(!std::filesystem::exists(path.string() + ".v0.backup"));
}

TEST_CASE_METHOD(Fixture, "migrations with a gap are a bug that is named", "[store]") {
    const std::vector<Migration> gap{kFirst, {3, "SELECT 1"}};
    CHECK(!open_sqlite(path, gap));
}

TEST_CASE_METHOD(Fixture, "an upgrade may rebuild a table that others refer to", "[store]") {
    {
        auto database = open();
        REQUIRE(database->write_blocking([](Transaction& tx) -> Result<void> {
            CONSIGN_TRY(changed, insert(tx, "kept"));
            CHECK(changed == 1);
            CONSIGN_CHECK(tx.execute("INSERT INTO part (item) SELECT id FROM item"));
            return {};
        }));
    }
    const Migration rebuild{2, "CREATE TABLE fresh (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);"
                               "INSERT INTO fresh SELECT id, name FROM item;"
                               "DROP TABLE item; ALTER TABLE fresh RENAME TO item;"};
    auto database = open({kFirst, rebuild});
    CHECK(count_of(*database) == 1);
    // And references are checked again from then on.
    auto dangling = database->write_blocking(
        [](Transaction& tx) { return tx.execute("INSERT INTO part (item) VALUES (99)"); });
    REQUIRE(!dangling);
    CHECK(dangling.error().code == Code::conflict);
}

TEST_CASE_METHOD(Fixture, "an upgrade that leaves rows without what they refer to is undone", "[store]") {
    REQUIRE(open()->write_blocking([](Transaction& tx) -> Result<void> {
        CONSIGN_CHECK(insert(tx, "kept"));
        CONSIGN_CHECK(tx.execute("INSERT INTO part (item) SELECT id FROM item"));
        return {};
    }));
    const std::vector<Migration> careless{kFirst, {2, "DELETE FROM item;"}};
    const auto refused = open_sqlite(path, careless);
    REQUIRE(!refused);
    CHECK(refused.error().code == Code::corrupt);
    CHECK(refused.error().message.contains("migration 2: rows of table part"));
    CHECK(count_of(*open()) == 1);
}
