#include "consign/base/file.hpp"
#include "ims/logs.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::ims;

namespace {
struct Logs {
    TemporaryDirectory directory = *TemporaryDirectory::make("logs-test");
    net::IoThread io;
    std::unique_ptr<LogStore> store = *LogStore::open(directory.path() / "logs.db");
    JobId job = JobId::make(Time{});

    std::int64_t fence(std::int64_t epoch) { return *io.run(store->fence(job, epoch)); }
    Result<LogStore::Appended> append(std::int64_t epoch, std::int64_t offset, std::string data) {
        return io.run(store->append(job, epoch, offset, std::move(data)));
    }
    std::string read(std::int64_t offset, std::size_t limit = 1000) {
        return io.run(store->read(job, offset, limit))->data;
    }
};
} // namespace

TEST_CASE("pieces are stored once and in order, whatever is sent again", "[logs]") {
    Logs logs;
    CHECK(logs.fence(1) == 0);
    CHECK(logs.append(1, 0, "one\n")->size == 4);
    const auto again = logs.append(1, 0, "one\n"); // the first answer was lost
    CHECK_FALSE(again->accepted);
    CHECK(again->size == 4);
    const auto ahead = logs.append(1, 9, "three\n");
    CHECK_FALSE(ahead->accepted);
    CHECK(logs.append(1, 4, "two\n")->accepted);
    CHECK(logs.read(0) == "one\ntwo\n");
}

TEST_CASE("a log is read from any offset, in pages", "[logs]") {
    Logs logs;
    logs.fence(1);
    std::int64_t size = 0;
    std::string all;
    for (int i = 0; i < 20; ++i) {
        const std::string line = "line " + std::to_string(i) + "\n";
        size = logs.append(1, size, line)->size;
        all += line;
    }
    for (std::size_t offset = 0; offset <= all.size(); ++offset) {
        CAPTURE(offset);
        CHECK(logs.read(static_cast<std::int64_t>(offset)) == all.substr(offset));
        CHECK(logs.read(static_cast<std::int64_t>(offset), 10) == all.substr(offset, 10));
    }
    CHECK(logs.read(size + 5).empty());
}

TEST_CASE("a new lease shuts the old holder out, even before it writes a line", "[logs][fencing]") {
    Logs logs;
    logs.fence(1);
    logs.append(1, 0, "old\n");
    CHECK(logs.fence(2) == 4); // where the new attempt goes on
    const auto stale = logs.append(1, 4, "too late\n");
    REQUIRE_FALSE(stale);
    CHECK(stale.error().code == Code::lease_lost);
    CHECK(logs.append(2, 4, "new\n")->accepted);
    logs.fence(1); // a late fence of an old epoch does not reopen it
    CHECK_FALSE(logs.append(1, 8, "x"));
    CHECK(logs.read(0) == "old\nnew\n");
}
