#include "artifact/tar_format.hpp"
#include <catch2/catch.hpp>
#include <cstring>

using namespace consign;
using namespace consign::artifact;

namespace {
TarBlock block_at(const std::string& text, std::size_t index) {
    TarBlock block;
    REQUIRE(text.size() >= (index + 1) * kTarBlock);
    std::memcpy(block.data(), text.data() + index * kTarBlock, kTarBlock);
    return block;
}
} // namespace

TEST_CASE("a plain entry is one ustar header") {
    const auto text = encode_header(
        {.kind = EntryKind::file, .name = "bin/run", .size = 10, .executable = true}, 1'700'000'000);
    REQUIRE(text.size() == kTarBlock);
    CHECK(text.substr(100, 8) == std::string("0000755\0", 8));
    CHECK(text.substr(108, 16) == std::string("0000000\0"
                                              "0000000\0",
                                              16));
    CHECK(text.substr(124, 12) == std::string("00000000012\0", 12));
    CHECK(text.substr(136, 12) == std::string("14524770400\0", 12));
    CHECK(text.substr(257, 8) == std::string("ustar\00000", 8));
    CHECK(text.substr(265, 64) == std::string(64, '\0')); // no names of owner or group
    const auto header = decode_header(block_at(text, 0));
    REQUIRE(header);
    CHECK(header->name == "bin/run");
    CHECK(header->type == '0');
    CHECK(header->size == 10);
}

TEST_CASE("pax headers come only where ustar cannot say it") {
    struct Row {
        std::string name;
        std::size_t blocks;
        std::string why;
    };
    const auto row = GENERATE(values<Row>({
        {std::string(100, 'a'), 1, "fits the name field"},
        {std::string(101, 'a'), 3, "no slash to split at"},
        {std::string(100, 'a') + "/" + std::string(100, 'b'), 1, "splits"},
        {std::string(155, 'a') + "/" + std::string(100, 'b'), 1, "splits at the very end"},
        {std::string(156, 'a') + "/" + std::string(100, 'b'), 3, "prefix too long"},
        {std::string(10, 'a') + "/" + std::string(101, 'b'), 3, "last part too long"},
        {"naïve", 3, "not ASCII"},
    }));
    CAPTURE(row.why);
    const auto text = encode_header({.name = row.name}, 0);
    REQUIRE(text.size() == row.blocks * kTarBlock);
    auto header = decode_header(block_at(text, 0));
    REQUIRE(header);
    if (row.blocks == 1) {
        CHECK(header->name == row.name);
        return;
    }
    CHECK(header->type == 'x');
    const auto pax = decode_pax(std::string_view(text).substr(kTarBlock, header->size));
    REQUIRE(pax);
    CHECK(pax->path == row.name);
    CHECK(decode_header(block_at(text, row.blocks - 1)));
}

TEST_CASE("a directory's slash is never the place to split") {
    const std::string name(100, 'a');
    const auto text =
        encode_header({.kind = EntryKind::directory, .name = name}, 0); // 101 bytes with its slash
    CHECK(text.size() == 3 * kTarBlock);
}

TEST_CASE("sizes from 8 GiB and long link targets go to pax") {
    const std::uint64_t size = 8ull << 30;
    auto text = encode_header({.name = "big", .size = size - 1}, 0);
    CHECK(text.size() == kTarBlock);
    text = encode_header({.name = "big", .size = size}, 0);
    REQUIRE(text.size() == 3 * kTarBlock);
    CHECK(text.substr(kTarBlock, 19) == "19 size=8589934592\n");
    text = encode_header({.kind = EntryKind::symlink, .name = "l", .link_target = std::string(101, 'x')}, 0);
    REQUIRE(text.size() == 3 * kTarBlock);
    CHECK(decode_pax(std::string_view(text).substr(kTarBlock, 101 + 14))->link_target ==
          std::string(101, 'x'));
}

TEST_CASE("pax records whose length changes its own digits") {
    // The shortest records around 10 and 100 bytes, where the length field grows by a digit.
    for (std::size_t length = 1; length < 120; ++length) {
        const auto text = encode_header({.name = "ä" + std::string(length, 'a')}, 0);
        const auto header = decode_header(block_at(text, 0));
        REQUIRE(header);
        const auto pax = decode_pax(std::string_view(text).substr(kTarBlock, header->size));
        REQUIRE(pax);
        CHECK(pax->path == "ä" + std::string(length, 'a'));
    }
}

TEST_CASE("malformed pax headers are refused") {
    const auto text = GENERATE(
        as<std::string>{}, "x", "5 a=", "0 a=b\n", "99 path=a\n", "6 path\n", "-1 a=b\n", "7 path=\n",
        "9 path=aa", "10 size=x\n", "11 size=-1\n", "29 size=99999999999999999999\n", "18 GNU.sparse.x=1\n",
        "30 SCHILY.xattr.user.x=abcdef\n", std::string("11 path=a\0\n", 11), "18446744073709551615 a=b\n");
    CAPTURE(text);
    CHECK_FALSE(decode_pax(text));
}

TEST_CASE("what other tars say of times and owners is passed over") {
    const auto pax = decode_pax("20 mtime=1700000000\n14 uname=root\n11 path=ab\n");
    REQUIRE(pax);
    CHECK(pax->path == "ab");
}
