#include "consign/base/id.hpp"
#include <catch2/catch.hpp>
#include <set>
#include <thread>
#include <unordered_set>
#include <vector>

using namespace consign;

TEST_CASE("a ULID is 26 characters of Crockford base32, sorted by time") {
    const Time now = SystemClock().now() + std::chrono::hours(1);
    const auto first = new_ulid(now);
    const auto later = new_ulid(now + Millis(1));
    CHECK(is_ulid(first));
    CHECK(first < later);
}

TEST_CASE("ids of one millisecond sort in the order they were made, also when the clock is set back") {
    const Time now = SystemClock().now() + std::chrono::hours(2);
    std::string last = new_ulid(now);
    for (int i = 0; i < 1000; ++i) {
        const auto next = new_ulid(i % 2 == 0 ? now : now - std::chrono::minutes(10));
        REQUIRE(last < next);
        last = next;
    }
}

TEST_CASE("the time stands in the first ten characters") {
    // Later than in all other tests here: new_ulid never goes back, whatever order they run in.
    const Time time = SystemClock().now() + std::chrono::hours(24);
    const auto ulid = new_ulid(time);
    constexpr std::string_view alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    std::int64_t millis = 0;
    for (const char c : ulid.substr(0, 10))
        millis = millis * 32 + static_cast<std::int64_t>(alphabet.find(c));
    CHECK(millis == to_millis(time));
}

TEST_CASE("threads never get the same id, and each sees its own in order") {
    const Time now = SystemClock().now();
    std::vector<std::vector<std::string>> made(4);
    {
        std::vector<std::jthread> threads;
        for (auto& mine : made)
            threads.emplace_back([&mine, now] {
                for (int i = 0; i < 500; ++i) mine.push_back(new_ulid(now));
            });
    }
    std::set<std::string> all;
    for (const auto& mine : made) {
        CHECK(std::ranges::is_sorted(mine));
        all.insert(mine.begin(), mine.end());
    }
    CHECK(all.size() == 2000);
}

TEST_CASE("what is not a ULID") {
    CHECK(is_ulid("01ARZ3NDEKTSV4RRFFQ69G5FAV"));
    for (const char* bad :
         {"", "01ARZ3NDEKTSV4RRFFQ69G5FA", "01ARZ3NDEKTSV4RRFFQ69G5FAVX", "01arz3ndektsv4rrffq69g5fav",
          "01ARZ3NDEKTSV4RRFFQ69G5FAI", "81ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5F/V"}) {
        CAPTURE(bad);
        CHECK_FALSE(is_ulid(bad));
    }
}

TEST_CASE("a typed id knows its own kind only") {
    const auto id = JobId::make(SystemClock().now());
    CHECK(id.str().starts_with("job_"));
    CHECK(JobId::parse(id.str()) == id);
    CHECK_FALSE(AgentId::parse(id.str()));
    CHECK(AgentId::parse(id.str()).error().message ==
          "'" + id.str() + "' is not an id of the form agt_<ULID>");
    CHECK_FALSE(JobId::parse("job-" + id.str().substr(4)));
    CHECK_FALSE(JobId::parse(""));
    CHECK(JobId().empty());
    CHECK_FALSE(JobId());
    CHECK(std::unordered_set<JobId>{id}.contains(id));
}
