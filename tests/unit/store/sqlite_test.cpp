#include "consign/base/file.hpp"
#include "consign/store/sqlite.hpp"
#include <atomic>
#include <catch2/catch.hpp>
#include <sqlite3.h>
#include <stdexcept>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace consign;
using namespace consign::store;

namespace {

constexpr Migration kFirst{
    1, "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, data BLOB, at REAL);"
       "CREATE TABLE part (item INTEGER NOT NULL REFERENCES item(id), late INTEGER "
       "REFERENCES item(id) DEFERRABLE INITIALLY DEFERRED);"};
constexpr Migration kSecond{2, "ALTER TABLE item ADD COLUMN note TEXT NOT NULL DEFAULT 'none';"};

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

Result<std::int64_t> insert(Transaction& tx, std::string_view name) {
    return tx.execute("INSERT INTO item (name) VALUES ($1)", {name});
}
Result<std::int64_t> count(Connection& c) {
    CONSIGN_TRY(n,
                c.query_one("SELECT count(*) FROM item", {}, [](const Row& row) { return row.integer(0); }));
    return *n;
}
std::int64_t count_of(Database& database) { return database.read_blocking(count).value(); }

net::Async<Result<std::int64_t>> add_and_count(Database& database, std::string name) {
    CONSIGN_CO_CHECK(co_await database.write([name](Transaction& tx) { return insert(tx, name); }));
    const auto here = std::this_thread::get_id();
    auto seen = co_await database.read(count);
    if (std::this_thread::get_id() != here) co_return fail(Code::internal, "resumed on another thread");
    co_return seen;
}

} // namespace

TEST_CASE_METHOD(Fixture, "values of every kind come back as they went in", "[store]") {
    auto database = open();
    const Bytes blob{std::byte{0}, std::byte{255}, std::byte{7}};
    REQUIRE(database->write_blocking([&](Transaction& tx) {
        return tx.execute("INSERT INTO item (id, name, data, at) VALUES ($2, $1, $4, $3)",
                          {"", 7, 1.5, ByteView(blob)});
    }));
    auto row = database->read_blocking([&](Connection& c) {
        return c.query_one("SELECT id, name, data, at, NULL FROM item WHERE id = $1 AND $1 < 9", {7},
                           [&](const Row& r) {
                               const auto data = r.blob(2);
                               return r.integer(0) == 7 && !r.is_null(1) && r.text(1).empty() &&
                                      std::ranges::equal(data, blob) && r.real(3) == 1.5 && r.is_null(4) &&
                                      r.text(4).empty();
                           });
    });
    REQUIRE(row);
    CHECK(row->value());
}

TEST_CASE_METHOD(Fixture, "an acknowledged write is visible to the next read", "[store]") {
    auto database = open();
    net::IoThread io;
    for (int i = 0; i < 20; ++i) {
        auto seen = io.run(add_and_count(*database, "n" + std::to_string(i)));
        REQUIRE(seen);
        CHECK(*seen == i + 1);
    }
}

TEST_CASE_METHOD(Fixture, "writers that meet in one batch each get their own outcome", "[store]") {
    auto database = open({kFirst}, {.max_batch = 16});
    std::atomic<int> won = 0, lost = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 50; ++i) { // every name is wanted by all eight
                auto done =
                    database->write_blocking([&](Transaction& tx) { return insert(tx, std::to_string(i)); });
                if (done)
                    ++won;
                else if (done.error().code == Code::conflict)
                    ++lost;
            }
        });
    for (auto& thread : threads) thread.join();
    CHECK(won == 50);
    CHECK(lost == 350);
    CHECK(count_of(*database) == 50);
}

TEST_CASE_METHOD(Fixture, "a closure that fails is undone alone and entirely", "[store]") {
    auto database = open();
    auto refused = database->write_blocking([](Transaction& tx) -> Result<void> {
        CONSIGN_CHECK(insert(tx, "half"));
        return fail(Code::lease_lost, "stale");
    });
    REQUIRE(!refused);
    CHECK(refused.error().code == Code::lease_lost);

    auto thrown = database->write_blocking([](Transaction& tx) -> Result<void> {
        CONSIGN_CHECK(insert(tx, "half"));
        throw std::runtime_error("boom");
    });
    REQUIRE(!thrown);
    CHECK(thrown.error().code == Code::internal);
    CHECK(thrown.error().message.contains("boom"));

    REQUIRE(database->write_blocking([](Transaction& tx) { return insert(tx, "whole"); }));
    CHECK(count_of(*database) == 1);
}

TEST_CASE_METHOD(Fixture, "constraints map to conflict, a deferred one does not hurt the batch", "[store]") {
    auto database = open();
    REQUIRE(database->write_blocking([](Transaction& tx) { return insert(tx, "a"); }));
    const auto code = [&](std::string_view sql) {
        auto done = database->write_blocking([&](Transaction& tx) { return tx.execute(sql); });
        return done ? std::string("ok") : std::string(name_of(done.error().code));
    };
    CHECK(code("INSERT INTO item (name) VALUES ('a')") == "conflict");
    CHECK(code("INSERT INTO item (id, name) VALUES (1, 'b')") == "conflict");
    CHECK(code("INSERT INTO part (item) VALUES (99)") == "conflict");
    CHECK(code("INSERT INTO part (item, late) VALUES (1, 99)") == "conflict");
    CHECK(code("INSERT INTO item (name) VALUES (NULL)") == "internal");
    CHECK(code("SELECT 1; SELECT 2") == "internal");
    CHECK(code("DELETE FROM item WHERE id = $1") == "internal"); // a parameter is missing
    CHECK(code("INSERT INTO part (item, late) VALUES (1, 1)") == "ok");
}

TEST_CASE_METHOD(Fixture, "a reader sees one snapshot and cannot write", "[store]") {
    auto database = open();
    auto same = database->read_blocking([&](Connection& c) -> Result<bool> {
        CONSIGN_TRY(before, count(c));
        CONSIGN_CHECK(database->write_blocking([](Transaction& tx) { return insert(tx, "later"); }));
        CONSIGN_TRY(after, count(c));
        return before == after;
    });
    REQUIRE(same);
    CHECK(*same);
    CHECK(count_of(*database) == 1);
    auto written = database->read_blocking([](Connection& c) {
        return c.query("INSERT INTO item (name) VALUES ('x')", {}, [](const Row&) { return true; });
    });
    CHECK(!written);
    CHECK(count_of(*database) == 1);
}

TEST_CASE_METHOD(Fixture, "a query may run inside the callback of the same query", "[store]") {
    auto database = open();
    const std::string_view sql = "SELECT name FROM item ORDER BY name";
    int pairs = 0;
    REQUIRE(database->write_blocking([&](Transaction& tx) -> Result<void> {
        CONSIGN_CHECK(insert(tx, "a"));
        CONSIGN_CHECK(insert(tx, "b"));
        return tx.query(sql, {}, [&](const Row&) {
            (void)tx.query(sql, {}, [&](const Row&) { return ++pairs > 0; });
            return true;
        });
    }));
    CHECK(pairs == 4);
}

TEST_CASE_METHOD(Fixture, "the statement cache forgets, and stays right", "[store]") {
    auto database = open();
    REQUIRE(database->write_blocking([](Transaction& tx) -> Result<void> {
        for (int round = 0; round < 2; ++round)
            for (int i = 0; i < 600; ++i) {
                CONSIGN_TRY(n, tx.query_one("SELECT " + std::to_string(i), {},
                                            [](const Row& r) { return r.integer(0); }));
                if (n != i) return fail(Code::internal, "wrong statement");
            }
        return {};
    }));
}

TEST_CASE_METHOD(Fixture, "a full queue answers rate_limited", "[store]") {
    auto database = open({kFirst}, {.max_queue = 1});
    std::atomic<bool> inside = false, release = false;
    std::thread slow([&] {
        (void)database->write_blocking([&](Transaction&) -> Result<void> {
            inside = true;
            while (!release) std::this_thread::yield();
            return {};
        });
    });
    while (!inside) std::this_thread::yield();
    std::atomic<int> limited = 0;
    std::vector<std::thread> more;
    for (int i = 0; i < 3; ++i)
        more.emplace_back([&, i] {
            auto done =
                database->write_blocking([&](Transaction& tx) { return insert(tx, std::to_string(i)); });
            if (!done && done.error().code == Code::rate_limited) ++limited;
        });
    while (limited < 2) std::this_thread::yield();
    release = true;
    for (auto& thread : more) thread.join();
    slow.join();
    CHECK(limited == 2);
    CHECK(count_of(*database) == 1);
}

TEST_CASE_METHOD(Fixture, "closing finishes what was queued", "[store]") {
    constexpr int kWrites = 200;
    {
        auto database = open();
        for (int i = 0; i < kWrites; ++i)
            REQUIRE(database->write_blocking([&](Transaction& tx) { return insert(tx, std::to_string(i)); }));
    }
    auto again = open();
    CHECK(count_of(*again) == kWrites);
    struct ::stat status{};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
}

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

TEST_CASE_METHOD(Fixture, "what is not a database is refused as corrupt", "[store]") {
    REQUIRE(write_file_atomic(path, std::string(8192, 'x')));
    auto refused = open_sqlite(path, {});
    REQUIRE(!refused);
    CHECK(refused.error().code == Code::corrupt);
    CHECK(refused.error().message.contains(path.string()));
}

TEST_CASE_METHOD(Fixture, "an acknowledged write survives a crash", "[store]") {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        const std::vector<Migration> migrations{kFirst};
        auto database = open_sqlite(path, migrations);
        const bool ok =
            database && (*database)->write_blocking([](Transaction& tx) { return insert(tx, "durable"); });
        ::_exit(ok ? 0 : 1); // nothing is closed, nothing checkpointed
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    REQUIRE(WEXITSTATUS(status) == 0);
    CHECK(count_of(*open()) == 1);
}

TEST_CASE_METHOD(Fixture, "a full disk is storage_full for the batch, and passes", "[store]") {
    // SQLite's own page limit gives SQLITE_FULL exactly as a full disk does.
    auto database = open();
    REQUIRE(database->write_blocking([](Transaction& tx) { return insert(tx, "before"); }));
    REQUIRE(database->write_blocking([](Transaction& tx) {
        return tx.query("PRAGMA max_page_count = 1", {}, [](const Row&) { return true; });
    }));
    auto refused = database->write_blocking([](Transaction& tx) {
        return tx.execute("INSERT INTO item (name, data) VALUES ('big', zeroblob(1000000))");
    });
    REQUIRE(!refused);
    CHECK(refused.error().code == Code::storage_full);
    CHECK(!refused.error().hint.empty());
    CHECK(count_of(*database) == 1);
    REQUIRE(database->write_blocking([](Transaction& tx) {
        return tx.query("PRAGMA max_page_count = 100000", {}, [](const Row&) { return true; });
    }));
    CHECK(database->write_blocking([](Transaction& tx) { return insert(tx, "after"); }));
}
