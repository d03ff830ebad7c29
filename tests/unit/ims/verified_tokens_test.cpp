#include "consign/base/jwt.hpp"
#include "ims/verified_tokens.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::ims;

namespace {
constexpr Time kNow(Millis(1'700'000'000'000));
constexpr std::int64_t kSeconds = 1'700'000'000;
} // namespace

TEST_CASE("a token that was verified is known again, until it ends", "[verified_tokens]") {
    const auto key = PrivateKey::generate();
    const auto other = PrivateKey::generate();
    VerifiedTokens tokens;
    const auto token = jwt::sign({{"exp", kSeconds + 100}, {"a", 1}}, key);
    const auto first = tokens.verify(token, key.public_key(), kNow);
    REQUIRE(first);
    CHECK((**first)["a"] == 1);
    CHECK(tokens.size() == 1);
    const auto again = tokens.verify(token, key.public_key(), kNow + std::chrono::seconds(100));
    REQUIRE(again);
    CHECK(*again == *first); // the very same
    // To the second when jwt::verify() refuses it.
    for (const int later : {159, 160, 1000}) {
        const auto at = kNow + std::chrono::seconds(later);
        CHECK(tokens.verify(token, key.public_key(), at).has_value() ==
              jwt::verify(token, key.public_key(), at).has_value());
    }
    CHECK_FALSE(tokens.verify(token, key.public_key(), kNow + std::chrono::hours(1)));

    CHECK_FALSE(tokens.verify(jwt::sign({{"exp", kSeconds + 100}}, other), key.public_key(), kNow));
    auto tampered = token;
    tampered[tampered.size() - 10] ^= 1;
    CHECK_FALSE(tokens.verify(tampered, key.public_key(), kNow));
    CHECK_FALSE(tokens.verify("", key.public_key(), kNow));
    CHECK(tokens.size() == 1); // what is refused is not remembered
}

TEST_CASE("tokens without an end, or with one far away, are good too", "[verified_tokens]") {
    const auto key = PrivateKey::generate();
    VerifiedTokens tokens;
    for (const auto& claims :
         {json::Value::object(), json::Value{{"exp", 1e300}}, json::Value{{"exp", kSeconds + 0.5}}}) {
        const auto token = jwt::sign(claims, key);
        CHECK(tokens.verify(token, key.public_key(), kNow));
        CHECK(tokens.verify(token, key.public_key(), kNow));
    }
}

TEST_CASE("no more tokens are remembered than there is room for", "[verified_tokens]") {
    const auto key = PrivateKey::generate();
    VerifiedTokens tokens(4);
    for (int i = 0; i < 20; ++i) {
        REQUIRE(tokens.verify(jwt::sign({{"i", i}}, key), key.public_key(), kNow));
        CHECK(tokens.size() <= 4);
    }
}
