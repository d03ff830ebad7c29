#include "agent/journal.hpp"
#include "consign/base/file.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::agent;

namespace {
struct Fixture {
    TemporaryDirectory data = std::move(*TemporaryDirectory::make("journal"));
    Journal journal{data.path()};
    protocol::Lease lease{.job = JobId::make(SystemClock().now()),
                          .epoch = 3,
                          .deadline = {},
                          .attempt = 2,
                          .kind = protocol::JobKind::apply,
                          .log_offset = 0,
                          .spec = {}};
};
} // namespace

TEST_CASE_METHOD(Fixture, "an attempt that ended leaves nothing", "[agent]") {
    REQUIRE(journal.begin(lease, SystemClock().now()));
    CHECK(std::filesystem::is_directory(journal.scratch(lease)));
    REQUIRE(write_file_atomic(journal.scratch(lease) / "half", std::string_view("work")));
    journal.end(lease);
    CHECK_FALSE(std::filesystem::exists(journal.scratch(lease)));
    CHECK(journal.take_leftovers()->empty());
}

TEST_CASE_METHOD(Fixture, "what a crash cut short is found once, and cleaned up", "[agent]") {
    REQUIRE(journal.begin(lease, SystemClock().now()));
    REQUIRE(write_file_atomic(journal.scratch(lease) / "half", std::string_view("work")));
    REQUIRE(write_file_atomic(data.path() / "jobs" / "torn.json", std::string_view("{\"job\":")));

    Journal next(data.path());
    const auto leftovers = next.take_leftovers();
    REQUIRE(leftovers);
    REQUIRE(leftovers->size() == 1);
    CHECK(leftovers->front().job == lease.job);
    CHECK(leftovers->front().attempt == 2);
    CHECK(leftovers->front().kind == protocol::JobKind::apply);
    CHECK_FALSE(std::filesystem::exists(journal.scratch(lease)));
    CHECK(next.take_leftovers()->empty());
}

TEST_CASE_METHOD(Fixture, "a scratch directory begins empty", "[agent]") {
    REQUIRE(journal.begin(lease, SystemClock().now()));
    REQUIRE(write_file_atomic(journal.scratch(lease) / "half", std::string_view("work")));
    REQUIRE(journal.begin(lease, SystemClock().now()));
    CHECK(std::filesystem::is_empty(journal.scratch(lease)));
}

TEST_CASE_METHOD(Fixture, "session ids grow, also when the clock is set back", "[agent]") {
    const auto now = SystemClock().now();
    const auto first = journal.next_session(now), second = journal.next_session(now - std::chrono::hours(24));
    REQUIRE(first);
    REQUIRE(second);
    CHECK(*first < *second);
    const auto third = Journal(data.path()).next_session(now - std::chrono::hours(48));
    REQUIRE(third);
    CHECK(*second < *third);
}
