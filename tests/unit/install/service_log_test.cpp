#include "install/service_log.hpp"
#include "support.hpp"

using namespace consign;
using namespace consign::install;
using namespace consign::install::test;

TEST_CASE("a service's log is bounded while the service has it open") {
    const auto directory = scratch();
    const auto log = directory.path() / "logs/service.log";
    const auto service = open_service_log(log, 100);
    REQUIRE(service);
    const auto say = [&](const std::string& text) {
        REQUIRE(write_all(service->get(), as_bytes(text), log));
    };

    say(std::string(90, 'a'));
    REQUIRE(rotate_service_log(log, 100));
    CHECK(get(log).size() == 90);
    say(std::string(60, 'b'));
    REQUIRE(rotate_service_log(log, 100));
    CHECK(get(log).empty());
    CHECK(get(log.string() + ".1") == std::string(40, 'a') + std::string(60, 'b'));
    say("next\n"); // appended at the new end, not at the old offset
    CHECK(get(log) == "next\n");
}

TEST_CASE("opening a log that is too large begins a new one") {
    const auto directory = scratch();
    const auto log = directory.path() / "service.log";
    put(log, std::string(200, 'x'));
    REQUIRE(open_service_log(log, 100));
    CHECK(get(log).empty());
    CHECK(get(log.string() + ".1").size() == 200);
}

TEST_CASE("a tail gives what is new, in whole lines, up to its budget") {
    const auto directory = scratch();
    const auto log = directory.path() / "service.log";
    put(log, "old\n");
    LogTail tail(log, 30);
    std::ofstream out(log, std::ios::app);
    out << "one\ntw" << std::flush;
    CHECK(tail.read() == "one\n");
    out << "o\n" << std::flush;
    CHECK(tail.read() == "two\n");
    out << "end" << std::flush;
    CHECK(tail.read().empty());
    CHECK(tail.read(true) == "end\n");
    put(log, "new\n"); // rotated
    CHECK(tail.read() == "new\n");
    out << std::string(100, 'z') << "\n" << std::flush;
    CHECK(tail.read().contains("(the rest is only in the service's own log)"));
    out << "more\n" << std::flush;
    CHECK(tail.read(true).empty());
}
