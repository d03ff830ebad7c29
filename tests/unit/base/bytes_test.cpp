#include "consign/base/bytes.hpp"
#include <catch2/catch.hpp>

using namespace consign;

namespace {
std::string text(const Result<Bytes>& bytes) {
    return bytes ? std::string(as_text(*bytes)) : "error: " + bytes.error().message;
}
} // namespace

TEST_CASE("base64 test vectors of RFC 4648 section 10") {
    const auto [plain, encoded] = GENERATE(table<std::string, std::string>({
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    }));
    CHECK(to_base64(as_bytes(plain)) == encoded);
    CHECK(text(from_base64(encoded)) == plain);
    const auto unpadded = encoded.substr(0, encoded.find('='));
    CHECK(to_base64url(as_bytes(plain)) == unpadded);
    CHECK(text(from_base64url(unpadded)) == plain);
}

TEST_CASE("base64url uses - and _, base64 + and /") {
    const Bytes bytes{std::byte{0xfb}, std::byte{0xff}, std::byte{0xfe}};
    CHECK(to_base64(bytes) == "+//+");
    CHECK(to_base64url(bytes) == "-__-");
    CHECK(from_base64("+//+") == bytes);
    CHECK(from_base64url("-__-") == bytes);
    CHECK_FALSE(from_base64("-__-"));
    CHECK_FALSE(from_base64url("+//+"));
}

TEST_CASE("exactly one base64 text decodes to given bytes") {
    for (const char* bad :
         {"Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm 9v", "Zm9v\n", "Z"}) {
        CAPTURE(bad);
        CHECK_FALSE(from_base64(bad));
    }
    for (const char* bad : {"Zg==", "Zh", "Zm9", "Z", "Zm9vZ", "Zm9v Zm9v"}) {
        CAPTURE(bad);
        CHECK_FALSE(from_base64url(bad));
    }
}

TEST_CASE("every byte survives each encoding") {
    Bytes all;
    for (int i = 0; i < 256; ++i) all.push_back(static_cast<std::byte>(i));
    for (std::size_t size = 0; size <= all.size(); ++size) {
        const Bytes part(all.end() - static_cast<std::ptrdiff_t>(size), all.end());
        REQUIRE(from_hex(to_hex(part)) == part);
        REQUIRE(from_base64(to_base64(part)) == part);
        REQUIRE(from_base64url(to_base64url(part)) == part);
    }
}

TEST_CASE("hex is written in lower case and read in both") {
    CHECK(to_hex(as_bytes("\x01\xab")) == "01ab");
    CHECK(from_hex("01AB") == from_hex("01ab").value());
    CHECK(from_hex("").value().empty());
    CHECK_FALSE(from_hex("0"));
    CHECK_FALSE(from_hex("0g"));
    CHECK(from_hex("00x0").error().message == "malformed hex: not a hex digit at position 2");
}

TEST_CASE("decoding errors do not repeat the text, which may be a secret") {
    CHECK(from_base64url("hunter2!").error().message.find("hunter2") == std::string::npos);
    CHECK(from_hex("hunter22").error().message.find("hunter") == std::string::npos);
}
