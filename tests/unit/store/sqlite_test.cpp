#include "support.hpp"
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace consign;
using namespace consign::store;
using namespace consign::store::test;

namespace {

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
    net::IoThread io; // outlives the database, whose threads post into it
    auto database = open();
    for (int i = 0; i < 20; ++i) {
        auto seen = io.run(add_and_count(*database, "n" + std::to_string(i)));
        REQUIRE(seen);
        CHECK(*seen == i + 1);
    }
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

TEST_CASE_METHOD(Fixture, "closing finishes what was queued", "[store]") {
    constexpr int kWrites = 200;
    {
        auto database = open();
        for (int i = 0; i < kWrites; ++i)
            REQUIRE(database->write_blocking([&](Transaction& tx) { return insert(tx, std::to_string(i)); }));
    }
    auto again = open();
    CHECK(count_of(*again) == kWrites);
    struct ::stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
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
