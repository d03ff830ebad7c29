#include "cli/transfer_progress.hpp"
#include <catch2/catch.hpp>
#include <sstream>

using namespace consign;
using namespace consign::cli;

TEST_CASE("a bar is as full as the work is done") {
    CHECK(bar(0, 10, 4) == "[----]");
    CHECK(bar(5, 10, 4) == "[##--]");
    CHECK(bar(10, 10, 4) == "[####]");
    CHECK(bar(20, 10, 4) == "[####]");
    CHECK(bar(0, 0, 4) == "[####]");
}

TEST_CASE("a transfer shows the whole and what is under way, within the terminal") {
    oci::CopyProgress progress{
        .bytes_total = 4096, .bytes_done = 1024, .bytes_skipped = 1024, .blobs_total = 3, .blobs_done = 1};
    for (int i = 0; i < 5; ++i)
        progress.active.push_back(
            {.digest = Digest::sha256_of(std::to_string(i)), .size = 2048, .done = 1024});
    const auto lines = TransferProgress::lines("a → b", progress, 1.0, 100, 6);
    REQUIRE(lines.size() == 5);
    CHECK(lines[0] == "a → b");
    CHECK(lines[1].contains("2.0 KiB of 4.0 KiB"));
    CHECK(lines[1].contains("1 of 3 blobs"));
    CHECK(lines[2].contains("sha256:"));
    CHECK(TransferProgress::lines("a", progress, 1.0, 60, 24).size() == 7);
}

TEST_CASE("a transfer draws on a terminal alone, and takes its drawing away") {
    std::ostringstream err;
    const bool terminal = GENERATE(true, false);
    {
        TransferProgress progress({.out = &err, .err = &err, .err_terminal = terminal}, "title");
        progress.show({.blobs_total = 2});
        CHECK(progress.last().blobs_total == 2);
    }
    CHECK(err.str().contains("title") == terminal);
    CHECK(err.str().ends_with("\x1b[J") == terminal);
}
