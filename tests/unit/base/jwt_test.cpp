#include "consign/base/json.hpp"
#include "consign/base/jwt.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using json::Value;

namespace {

const Time kNow = from_millis(1'700'000'000'000);
constexpr std::int64_t kNowSeconds = 1'700'000'000;

const PrivateKey& test_key() {
    static const auto key = PrivateKey::generate();
    return key;
}
Result<Value> verify(std::string_view token) { return jwt::verify(token, test_key().public_key(), kNow); }

/// Signed properly, whatever the header says.
std::string forge(std::string_view header, std::string_view claims) {
    const auto input = to_base64url(as_bytes(header)) + "." + to_base64url(as_bytes(claims));
    return input + "." + to_base64url(test_key().sign(as_bytes(input)));
}

} // namespace

TEST_CASE("what was signed comes back") {
    const Value claims{
        {"sub", "agt_1"}, {"exp", kNowSeconds + 60}, {"iat", kNowSeconds}, {"nested", {{"a", {1, 2}}}}};
    const auto token = jwt::sign(claims, test_key());
    CHECK(verify(token) == claims);
    CHECK(jwt::peek(token) == claims);
    const auto header =
        json::parse(as_text(from_base64url(token.substr(0, token.find('.'))).value())).value();
    CHECK(header == Value{{"alg", "ES256"}, {"typ", "JWT"}, {"kid", test_key().public_key().thumbprint()}});
}

TEST_CASE("no single character of a token can be changed") {
    const auto token = jwt::sign({{"sub", "agt_1"}}, test_key());
    for (std::size_t i = 0; i < token.size(); ++i) {
        auto changed = token;
        changed[i] = token[i] == 'A' ? 'B' : 'A';
        CAPTURE(i);
        const auto claims = verify(changed);
        REQUIRE_FALSE(claims);
        REQUIRE(claims.error().code == Code::unauthenticated);
    }
}

TEST_CASE("only the key decides, not what the token says about itself") {
    CHECK(verify(forge(R"({"alg":"ES256"})", R"({"a":1})")));
    for (const char* header :
         {R"({"alg":"none"})", R"({"alg":"None"})", R"({"alg":"HS256"})", R"({"alg":"es256"})",
          R"({"alg":["ES256"]})", R"({"typ":"JWT"})", "[]", "null", "", "{",
          R"({"alg":"ES256","crit":["exp"]})", R"({"alg":"ES256","kid":"other"})"}) {
        CAPTURE(header);
        CHECK(verify(forge(header, "{}")).error().code == Code::unauthenticated);
    }
    const auto unsigned_token =
        to_base64url(as_bytes(R"({"alg":"none"})")) + "." + to_base64url(as_bytes("{}")) + ".";
    CHECK(verify(unsigned_token).error().code == Code::unauthenticated);
    CHECK(verify(jwt::sign({{"a", 1}}, PrivateKey::generate())).error().message.find("another key") !=
          std::string::npos);
}

TEST_CASE("malformed tokens are refused") {
    const auto good = jwt::sign({{"a", 1}}, test_key());
    for (const std::string& bad : {std::string(), std::string("."), std::string(".."), std::string("a.b"),
                                   good + ".", "." + good, good + "=", " " + good, good + "\n",
                                   good.substr(0, good.rfind('.')), good.substr(0, good.rfind('.') + 1)}) {
        CAPTURE(bad);
        CHECK(verify(bad).error().code == Code::unauthenticated);
    }
    for (const char* claims : {"[]", "1", "", "{", R"({"exp":"soon"})", R"({"nbf":null})", R"({"iat":[]})"}) {
        CAPTURE(claims);
        CHECK(verify(forge(R"({"alg":"ES256"})", claims)).error().code == Code::unauthenticated);
    }
}

TEST_CASE("a token over 8 KiB is refused before it is looked at") {
    const auto token = jwt::sign({{"a", std::string(8192, 'x')}}, test_key());
    CHECK(verify(token).error().message.find("8192 allowed") != std::string::npos);
    CHECK(jwt::peek(token).error().code == Code::unauthenticated);
    CHECK(verify(jwt::sign({{"a", std::string(5500, 'x')}}, test_key())));
}

TEST_CASE("times fit within the leeway of 60 s, and the reason is named") {
    struct Row {
        const char* claim;
        double offset_s;
        std::string want; // empty: accepted
    };
    const auto row = GENERATE(values<Row>({
        {"exp", 1, ""},
        {"exp", -59, ""},
        {"exp", -60, "token expired 60 s ago"},
        {"exp", -59.5, ""},
        {"exp", -1e300, "token expired"},
        {"exp", 1e300, ""},
        {"nbf", 0, ""},
        {"nbf", 60, ""},
        {"nbf", 61, "not valid for another 61 s: check the clocks"},
        {"iat", -100000, ""},
        {"iat", 60, ""},
        {"iat", 90, "token was issued 90 s in the future: check the clocks"},
        {"iat", 1e300, "in the future: check the clocks"},
    }));
    CAPTURE(row.claim, row.offset_s);
    const auto token = jwt::sign({{row.claim, static_cast<double>(kNowSeconds) + row.offset_s}}, test_key());
    const auto claims = verify(token);
    if (row.want.empty()) {
        CHECK(claims);
    } else {
        REQUIRE_FALSE(claims);
        CHECK(claims.error().message.find(row.want) != std::string::npos);
        CHECK(claims.error().message + claims.error().hint != claims.error().message); // says what to do
    }
}

TEST_CASE("the leeway is the caller's") {
    const auto token = jwt::sign({{"exp", kNowSeconds - 5}}, test_key());
    CHECK(jwt::verify(token, test_key().public_key(), kNow));
    CHECK_FALSE(jwt::verify(token, test_key().public_key(), kNow, std::chrono::seconds(0)));
}

TEST_CASE("peek reads what verify refuses") {
    const auto token = jwt::sign({{"sub", "agt_1"}, {"exp", 1}}, PrivateKey::generate());
    CHECK_FALSE(verify(token));
    CHECK(jwt::peek(token).value()["sub"] == "agt_1");
    CHECK_FALSE(jwt::peek("a.b.c"));
}
