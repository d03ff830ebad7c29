#include "support.hpp"

using namespace consign;
using namespace consign::store;
using namespace consign::store::test;

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
