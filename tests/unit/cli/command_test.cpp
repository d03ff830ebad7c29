#include "cli/command.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::cli;
using namespace std::chrono_literals;

TEST_CASE("durations need a unit") {
    CHECK(parse_duration("90s").value() == 90s);
    CHECK(parse_duration("30m").value() == 30min);
    CHECK(parse_duration("5min").value() == 5min);
    CHECK(parse_duration("1h").value() == 1h);
    CHECK(parse_duration("7d").value() == 168h);
    for (const auto* wrong :
         {"", "h", "1", "-1h", "0s", "1.5h", "1 h", "99999999999999999999s", "2000000d"}) {
        CAPTURE(wrong);
        CHECK_FALSE(parse_duration(wrong));
    }
}

TEST_CASE("options know their other names") {
    bool flag = false;
    std::string value;
    const auto tls = option("--tls-cert", "FILE", "help", value);
    CHECK(tls.long_name() == "tls-cert");
    CHECK(tls.environment_name() == "CONSIGN_TLS_CERT");
    CHECK(tls.display() == "--tls-cert FILE");
    CHECK(toggle("-f,--follow", "help", flag).display() == "-f, --follow");
    CHECK(positional("APP", "help", value).display() == "APP");
}

TEST_CASE("values are checked where they are set") {
    int number = 2;
    const auto slots = option("--slots", "N", "help", number, 1, 10);
    CHECK(slots.set("7", Origin::flag));
    CHECK(number == 7);
    for (const auto* wrong : {"0", "11", "seven", "", "7x", "-1"}) {
        CAPTURE(wrong);
        CHECK_FALSE(slots.set(wrong, Origin::flag));
    }
    bool flag = false;
    const auto once = toggle("--once", "help", flag);
    CHECK(once.set("yes", Origin::environment));
    CHECK(flag);
    CHECK(once.set("0", Origin::environment));
    CHECK_FALSE(flag);
    CHECK_FALSE(once.set("maybe", Origin::environment));

    std::string role;
    const auto result = choice("--role", "ROLE", "help", role, {"viewer", "owner"}).set("ownr", Origin::flag);
    REQUIRE_FALSE(result);
    CHECK(result.error().hint == "did you mean 'owner'?");
}
