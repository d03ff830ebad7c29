#include "consign/base/clock.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace std::chrono;

TEST_CASE("RFC 3339 times in both directions") {
    const auto [text, millis] = GENERATE(table<std::string, std::int64_t>({
        {"1970-01-01T00:00:00.000Z", 0},
        {"2026-01-31T12:00:00.000Z", 1'769'860'800'000},
        {"2000-02-29T23:59:59.999Z", 951'868'799'999},
        {"1969-12-31T23:59:59.999Z", -1},
        {"9999-12-31T23:59:59.000Z", 253'402'300'799'000},
    }));
    CHECK(to_rfc3339(from_millis(millis)) == text);
    const auto parsed = parse_rfc3339(text);
    REQUIRE(parsed);
    CHECK(to_millis(*parsed) == millis);
}

TEST_CASE("other spellings of the same instant") {
    const Time noon = parse_rfc3339("2026-01-31T12:00:00Z").value();
    CHECK(parse_rfc3339("2026-01-31t12:00:00z") == noon);
    CHECK(parse_rfc3339("2026-01-31 12:00:00Z") == noon);
    CHECK(parse_rfc3339("2026-01-31T13:30:00+01:30") == noon);
    CHECK(parse_rfc3339("2026-01-30T23:00:00-13:00") == noon);
    CHECK(parse_rfc3339("2026-01-31T11:59:60Z") == noon);
    CHECK(parse_rfc3339("2026-01-31T12:00:00.1Z") == noon + milliseconds(100));
    CHECK(parse_rfc3339("2026-01-31T12:00:00.123456789Z") == noon + milliseconds(123));
    CHECK(parse_rfc3339("2026-01-31T12:00:00.0009Z") == noon);
}

TEST_CASE("what is not a time is refused by name") {
    for (const char* bad :
         {"", "now", "2026-01-31", "2026-01-31T12:00:00", "2026-02-29T12:00:00Z", "2026-13-01T00:00:00Z",
          "2026-01-00T00:00:00Z", "2026-01-31T24:00:00Z", "2026-01-31T12:60:00Z", "2026-01-31T12:00:61Z",
          "2026-01-31T12:00:00.Z", "2026-01-31T12:00:00+0100", "2026-01-31T12:00:00+24:00",
          "2026-01-31T12:00:00Z ", "2026-1-31T12:00:00Z", "+026-01-31T12:00:00Z"}) {
        const auto time = parse_rfc3339(bad);
        CAPTURE(bad);
        REQUIRE_FALSE(time);
        CHECK(time.error().code == Code::invalid_argument);
        CHECK(time.error().message == "'" + std::string(bad) + "' is not a time");
    }
}

TEST_CASE("durations for people") {
    const auto [duration, text] = GENERATE(table<Millis, std::string>({
        {Millis(0), "0 ms"},
        {Millis(250), "250 ms"},
        {seconds(1), "1 s"},
        {seconds(45), "45 s"},
        {seconds(60), "1 min"},
        {seconds(90), "90 s"},
        {seconds(200), "3 min"},
        {minutes(60), "1 h"},
        {minutes(119), "119 min"},
        {hours(2), "2 h"},
        {hours(24), "1 d"},
        {hours(30), "30 h"},
        {hours(72), "3 d"},
        {Millis(-3000), "3 s"},
    }));
    CHECK(humanize(duration) == text);
}

TEST_CASE("the manual clock stands still until told") {
    ManualClock clock;
    const Time start = clock.now();
    CHECK(clock.now() == start);
    clock.advance(seconds(5));
    CHECK(clock.now() - start == seconds(5));
}

TEST_CASE("the system clock is the system's") {
    const Time before = SystemClock().now();
    CHECK(abs(before - floor<milliseconds>(system_clock::now())) < seconds(5));
}
