#include "store/writer.hpp"
#include "support.hpp"
#include <atomic>
#include <sqlite3.h>
#include <stdexcept>
#include <thread>

using namespace consign;
using namespace consign::store;
using namespace consign::store::test;

namespace {

/// A writer whose commits are counted, and that the test can hold up so that a batch gathers behind it.
struct Held : Fixture {
    std::atomic<int> commits = 0;
    std::atomic<bool> inside = false, release = false;
    std::vector<std::string> outcomes; ///< of what submit() was given, in the order of the answers
    std::optional<Writer> writer;

    void start(std::size_t max_batch) {
        open().reset(); // the schema
        auto connection = connect(SqliteConnection::Role::writer);
        sqlite3_commit_hook(
            connection->raw(), [](void* self) { return ++static_cast<Held*>(self)->commits, 0; }, this);
        writer.emplace(std::move(connection), max_batch, 100);
        writer->submit(
            [this](Transaction&) -> Result<void> {
                inside = true;
                while (!release) std::this_thread::yield();
                return {};
            },
            [](Result<void>) {});
        while (!inside) std::this_thread::yield();
    }
    std::unique_ptr<SqliteConnection> connect(SqliteConnection::Role role) const {
        auto connection = SqliteConnection::open(path, role, true);
        if (!connection) FAIL(to_string(connection.error()));
        return std::move(*connection);
    }
    void submit(Writer::Work work) {
        writer->submit(std::move(work), [this](Result<void> done) {
            outcomes.push_back(done ? "ok" : std::string(name_of(done.error().code)));
        });
    }
    void add(const std::string& name) {
        submit([name](Transaction& tx) -> Result<void> {
            CONSIGN_CHECK(insert(tx, name));
            return {};
        });
    }
    void finish() {
        release = true;
        writer.reset(); // answers all that is queued
    }
};

} // namespace

TEST_CASE_METHOD(Held, "what queues up behind a commit shares the next one, up to the batch's limit",
                 "[store]") {
    struct Row {
        std::size_t max_batch;
        int commits;
    };
    const auto row = GENERATE(values<Row>({{256, 2}, {4, 4}, {1, 11}}));
    CAPTURE(row.max_batch);
    start(row.max_batch);
    for (int i = 0; i < 10; ++i) add("n" + std::to_string(i));
    finish();
    CHECK(commits == row.commits); // the one that was held up, and ten in batches
    CHECK(outcomes == std::vector<std::string>(10, "ok"));
    CHECK(count_of(*open()) == 10);
}

TEST_CASE_METHOD(Held, "callers are answered once their write is on disk, never before", "[store]") {
    start(256);
    const auto reader = connect(SqliteConnection::Role::reader);
    std::int64_t seen = 0;
    for (const auto* name : {"a", "b"})
        writer->submit(
            [name](Transaction& tx) -> Result<void> {
                CONSIGN_CHECK(insert(tx, name));
                return {};
            },
            [&](Result<void> done) {
                REQUIRE(done);
                if (seen == 0) seen = count(*reader).value(); // at the first answer
            });
    finish();
    CHECK(seen == 2);
}

TEST_CASE_METHOD(Held, "a savepoint keeps one closure's failure from the others of its batch", "[store]") {
    start(256);
    add("a");
    submit([](Transaction& tx) -> Result<void> {
        CONSIGN_CHECK(insert(tx, "half"));
        return fail(Code::lease_lost, "stale");
    });
    add("b");
    add("a"); // taken
    submit([](Transaction& tx) -> Result<void> {
        CONSIGN_CHECK(insert(tx, "half"));
        throw std::runtime_error("boom");
    });
    add("c");
    finish();
    CHECK(outcomes == std::vector<std::string>{"ok", "lease_lost", "ok", "conflict", "internal", "ok"});
    CHECK(commits == 2);
    CHECK(count_of(*open()) == 3);
}

TEST_CASE_METHOD(Held, "when SQLite gives up the whole transaction, all that ran in it are told", "[store]") {
    start(256);
    add("a");
    submit([](Transaction& tx) -> Result<void> {
        CONSIGN_CHECK(insert(tx, "b"));
        CONSIGN_CHECK(tx.execute("ROLLBACK")); // as SQLite does by itself when the disk is full
        return fail(Code::storage_full, "the disk is full");
    });
    add("c"); // has a transaction of its own
    finish();
    CHECK(outcomes == std::vector<std::string>{"storage_full", "storage_full", "ok"});
    CHECK(count_of(*open()) == 1);
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
