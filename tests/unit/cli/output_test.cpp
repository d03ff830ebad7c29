#include "cli/output.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::cli;
using namespace std::chrono_literals;

TEST_CASE("a table is aligned by what is seen") {
    Table table({"NAME", "STATE", "DETAIL"});
    table.add({"caf\u00e9", Cell("running", Tone::busy), "x"});
    table.add({"\u65e5\u672c\u8a9e", Cell("queued"), ""});
    CHECK(table.text(false) == "NAME    STATE    DETAIL\n"
                               "caf\u00e9    running  x\n"
                               "\u65e5\u672c\u8a9e  queued\n");
}

TEST_CASE("colours do not move columns, and nothing else brings escapes") {
    Table table({"A", "B"});
    table.add({Cell("bad\x1b[31m", Tone::bad), "b"});
    CHECK(table.text(true).find("\x1b[31mbad[31m\x1b[0m  b") != std::string::npos);
    CHECK(table.text(false).find('\x1b') == std::string::npos);
}

TEST_CASE("details leave out what is empty") {
    CHECK(Details().add("job", "job_1").add("error", "").add("attempt", 2).text(false) ==
          "job      job_1\nattempt  2\n");
}

TEST_CASE("times are relative") {
    const Time now = from_millis(1'700'000'000'000);
    CHECK(ago(std::nullopt, now).empty());
    CHECK(ago(now - 1s, now) == "now");
    CHECK(ago(now - 180s, now) == "3 min ago");
    CHECK(ago(now + 1h, now) == "in 1 h");
    CHECK(ago(now + 1s, now) == "now"); // the server's clock is a little ahead
    CHECK(duration(now - 12s, std::nullopt, now) == "12 s");
    CHECK(duration(now - 12s, now - 2s, now) == "10 s");
    CHECK(duration(std::nullopt, std::nullopt, now).empty());
    CHECK(duration(now + 5s, std::nullopt, now) == "0 ms");
}

TEST_CASE("sizes and digests are short") {
    CHECK(human_size(12) == "12 B");
    CHECK(human_size(1536) == "1.5 KiB");
    CHECK(human_size(12u << 20) == "12 MiB");
    CHECK(short_digest(Digest::sha256_of("")) == "sha256:e3b0c44298fc");
    CHECK(short_digest(Digest()).empty());
}

TEST_CASE("JSON on a terminal stays JSON and cannot drive it") {
    const json::Value value = {{"text", "\x1b[2J caf\u00e9 \u009b2J"}};
    const auto piped = json_text(value, false), shown = json_text(value, true);
    CHECK(piped.find("\u009b") != std::string::npos);
    CHECK(shown.find("\u009b") == std::string::npos);
    CHECK(json::parse(shown).value() == value);
    CHECK(json::parse(piped).value() == value);
    CHECK(json_text({{"a", "caf\u00e9"}}, true) == "{\n  \"a\": \"caf\u00e9\"\n}");
}
