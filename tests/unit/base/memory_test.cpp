#include "consign/base/memory.hpp"
#include <catch2/catch.hpp>
#include <fstream>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace {

/// A field of /proc/self/status, in KiB.
long status_kib(const std::string& field) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with(field + ":")) return std::stol(line.substr(field.size() + 1));
    return -1;
}

/// Reads one byte of every page that the program's file is mapped to, writable data too.
std::size_t touch_program() {
    std::ifstream maps("/proc/self/maps");
    std::size_t sum = 0;
    for (std::string line; std::getline(maps, line);) {
        if (line.find("unit_base") == std::string::npos || line.find(" ---") != std::string::npos) continue;
        const auto begin = std::stoull(line, nullptr, 16);
        const auto end = std::stoull(line.substr(line.find('-') + 1), nullptr, 16);
        ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_POPULATE_READ);
        sum += end - begin;
    }
    return sum;
}

int counter = 41; // writable data must survive

} // namespace

TEST_CASE("releasing idle memory drops the program's pages and loses nothing", "[base][memory]") {
    ++counter;
    REQUIRE(touch_program() > 0);
    const auto before = status_kib("RssFile");
    consign::release_idle_memory();
    const auto after = status_kib("RssFile");
    CHECK(after < before);
    CHECK(counter == 42);
    std::string text = "still";
    text += " working";
    CHECK(text == "still working");
}
