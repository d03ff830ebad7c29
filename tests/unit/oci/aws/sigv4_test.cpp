// AWS's published examples: the signature test suite (service "service", one day in August 2015), and the
// ListUsers request that the documentation works through step by step.
#include "consign/base/digest.hpp"
#include "oci/aws/sigv4.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::oci::aws;

namespace {

const Time kNow = parse_rfc3339("2015-08-30T12:36:00Z").value();
const Credentials kExample{.access_key_id = "AKIDEXAMPLE",
                           .secret_access_key =
                               Secret<std::string>("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")};
const SigningScope kSuite{"us-east-1", "service"};
constexpr auto kToken =
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYR"
    "qTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp7"
    "5YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9F"
    "X9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

std::string signature_of(const Signable& request, const SigningScope& scope = kSuite) {
    const auto text = authorization(request, kExample, scope, kNow);
    return text.substr(text.rfind('=') + 1);
}

using Fields = std::vector<std::pair<std::string, std::string>>;

Signable suite(std::string method, std::string path, std::string query = "", Fields fields = {},
               std::string body = "") {
    Signable out{.method = std::move(method),
                 .path = std::move(path),
                 .query = std::move(query),
                 .payload_sha256 = sha256_hex(body)};
    out.headers.add("Host", "example.amazonaws.com");
    for (auto& [name, value] : fields) out.headers.add(name, value);
    out.headers.add("X-Amz-Date", "20150830T123600Z");
    return out;
}

} // namespace

TEST_CASE("sigv4: the signature test suite") {
    struct Row {
        std::string name;
        Signable request;
        std::string want;
    };
    const std::string unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const std::string vanilla = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
    const std::string post = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";
    const Row rows[] = {
        {"get-vanilla", suite("GET", "/"), vanilla},
        {"get-vanilla-empty-query-key", suite("GET", "/", "Param1=value1"),
         "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
        {"get-vanilla-query", suite("GET", "/", ""), vanilla},
        {"get-vanilla-query-order-key-case", suite("GET", "/", "Param2=value2&Param1=value1"),
         "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
        {"get-vanilla-query-unreserved", suite("GET", "/", unreserved + "=" + unreserved),
         "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
        {"get-vanilla-utf8-query", suite("GET", "/", "ሴ=bar"),
         "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
        {"get-vanilla-query-order-encoded", suite("GET", "/", "Param-3=Value3&Param=Value2&%E1%88%B4=Value1"),
         "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"},
        {"get-unreserved", suite("GET", "/" + unreserved),
         "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
        {"get-utf8", suite("GET", "/ሴ"), "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
        {"get-space", suite("GET", "/example space/"),
         "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
        {"get-relative", suite("GET", "/example/.."), vanilla},
        {"get-relative-relative", suite("GET", "/example1/example2/../.."), vanilla},
        {"get-slash", suite("GET", "//"), vanilla},
        {"get-slash-dot-slash", suite("GET", "/./"), vanilla},
        {"get-slash-pointless-dot", suite("GET", "/./example"),
         "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"},
        {"get-slashes", suite("GET", "//example//"),
         "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
        {"get-header-key-duplicate",
         suite("GET", "/", "",
               {{"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}}),
         "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
        {"get-header-value-order",
         suite("GET", "/", "",
               {{"My-Header1", "value4"},
                {"My-Header1", "value1"},
                {"My-Header1", "value3"},
                {"My-Header1", "value2"}}),
         "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
        {"get-header-value-trim",
         suite("GET", "/", "", {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}}),
         "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
        {"post-vanilla", suite("POST", "/"), post},
        {"post-vanilla-query", suite("POST", "/", "Param1=value1"),
         "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
        {"post-header-key-sort", suite("POST", "/", "", {{"My-Header1", "value1"}}),
         "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
        {"post-header-value-case", suite("POST", "/", "", {{"My-Header1", "VALUE1"}}),
         "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
        {"post-x-www-form-urlencoded",
         suite("POST", "/", "", {{"Content-Type", "application/x-www-form-urlencoded"}}, "Param1=value1"),
         "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
        {"post-x-www-form-urlencoded-parameters",
         suite("POST", "/", "", {{"Content-Type", "application/x-www-form-urlencoded; charset=utf8"}},
               "Param1=value1"),
         "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe"},
        {"post-sts-header-before", suite("POST", "/", "", {{"X-Amz-Security-Token", kToken}}),
         "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
    };
    for (const auto& row : rows) {
        INFO(row.name << "\n" << canonical_request(row.request));
        CHECK(signature_of(row.request) == row.want);
    }
}

TEST_CASE("sigv4: the documented ListUsers request, step by step") {
    Signable request{.method = "GET",
                     .path = "/",
                     .query = "Action=ListUsers&Version=2010-05-08",
                     .payload_sha256 = sha256_hex("")};
    request.headers.set("Host", "iam.amazonaws.com");
    request.headers.set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
    request.headers.set("X-Amz-Date", "20150830T123600Z");
    const SigningScope scope{"us-east-1", "iam"};
    CHECK(sha256_hex(canonical_request(request)) ==
          "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59");
    CHECK(string_to_sign(canonical_request(request), scope, kNow) ==
          "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/iam/aws4_request\n"
          "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59");
    CHECK(to_hex(signing_key(kExample.secret_access_key.reveal(), scope, kNow)) ==
          "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
    CHECK(authorization(request, kExample, scope, kNow) ==
          "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
          "SignedHeaders=content-type;host;x-amz-date, "
          "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
}

TEST_CASE("sigv4: a request to send gets what was signed, and the token of temporary credentials") {
    auto credentials = kExample;
    net::ClientRequest request{.verb = net::Verb::post,
                               .url = net::Url::parse("http://127.0.0.1:4566/path/?b=2&a=1").value(),
                               .body = std::string("{}")};
    request.headers.set("Content-Type", "application/x-amz-json-1.1");
    sign(request, credentials, {"eu-central-1", "ecr"}, kNow);
    CHECK(request.headers.get("Host") == "127.0.0.1:4566");
    CHECK(request.headers.get("X-Amz-Date") == "20150830T123600Z");
    CHECK_FALSE(request.headers.has("X-Amz-Security-Token"));
    CHECK(request.headers.get("Authorization").contains("SignedHeaders=content-type;host;x-amz-date,"));
    CHECK(request.headers.get("Authorization")
              .contains("Credential=AKIDEXAMPLE/20150830/eu-central-1/ecr/aws4_request"));

    credentials.session_token = Secret<std::string>("token");
    request.headers = {};
    sign(request, credentials, {"eu-central-1", "ecr"}, kNow);
    CHECK(request.headers.get("X-Amz-Security-Token") == "token");
    CHECK(
        request.headers.get("Authorization").contains("SignedHeaders=host;x-amz-date;x-amz-security-token,"));
}
