#include "consign/base/digest.hpp"
#include <catch2/catch.hpp>

using namespace consign;

namespace {
constexpr auto kAbc256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr auto kAbc512 = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                         "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
} // namespace

TEST_CASE("FIPS 180-4 vectors") {
    CHECK(Digest::sha256_of("abc").hex() == kAbc256);
    CHECK(Digest::sha256_of("").str() ==
          "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256_hex("abc") == kAbc256);
    CHECK(to_hex(sha256(as_bytes("abc"))) == kAbc256);
    Hasher hasher("sha512");
    hasher.update(as_bytes("a"));
    hasher.update({});
    hasher.update(as_bytes("bc"));
    const Digest digest = hasher.finish();
    CHECK(digest.algorithm() == "sha512");
    CHECK(digest.hex() == kAbc512);
}

TEST_CASE("hashing in pieces equals hashing at once") {
    const std::string text(100'000, 'x');
    Hasher hasher;
    for (std::size_t at = 0; at < text.size(); at += 777)
        hasher.update(as_bytes(std::string_view(text).substr(at, 777)));
    Hasher moved = std::move(hasher);
    CHECK(moved.finish() == Digest::sha256_of(text));
}

TEST_CASE("a digest is parsed strictly") {
    const std::string sha256 = std::string("sha256:") + kAbc256;
    CHECK(Digest::parse(sha256)->str() == sha256);
    CHECK(Digest::parse(sha256) == Digest::sha256_of("abc"));
    CHECK(Digest::parse(std::string("sha512:") + kAbc512)->hex() == kAbc512);

    std::string upper = sha256;
    upper[7] = 'B';
    const std::string bad[] = {"",
                               "abc",
                               "sha256:",
                               "sha256",
                               sha256 + "0",
                               sha256.substr(0, 70),
                               upper,
                               " " + sha256,
                               "SHA256:" + sha256.substr(7),
                               "md5:900150983cd24fb0d6963f7d28e17f72",
                               std::string("sha512:") + kAbc256,
                               sha256.substr(0, 70) + "/"};
    for (const auto& text : bad) {
        CAPTURE(text);
        const auto digest = Digest::parse(text);
        REQUIRE_FALSE(digest);
        CHECK(digest.error().code == Code::invalid_argument);
    }
    CHECK(Digest::parse(sha256 + "0").error().message.find("65 hex digits instead of 64") !=
          std::string::npos);
}

TEST_CASE("a default digest names nothing") {
    CHECK(Digest().empty());
    CHECK(Digest() != Digest::sha256_of(""));
}
