#include "consign/oci/reference.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::oci;

TEST_CASE("repository names follow the distribution-spec's grammar", "[oci]") {
    for (const char* good : {"a", "shop/web", "a.b/c_d/e__f/g---h", "0/1"}) {
        CAPTURE(good);
        CHECK(is_repository_name(good));
    }
    for (const char* bad : {"", "/", "a/", "/a", "a//b", "A", "a..b", "a___b", "-a", "a-", "a/../b", "a b",
                            "a%2fb", "a:b", ".", "a._b"}) {
        CAPTURE(bad);
        CHECK(!is_repository_name(bad));
    }
    CHECK(is_repository_name(std::string(255, 'a')));
    CHECK(!is_repository_name(std::string(256, 'a')));
}

TEST_CASE("tags follow the distribution-spec's grammar", "[oci]") {
    for (const char* good : {"v1", "_", "1.0-rc.1", "Latest"}) CHECK(is_tag(good));
    for (const char* bad : {"", ".a", "-a", "a/b", "a:b", "a b", "ä"}) CHECK(!is_tag(bad));
    CHECK(is_tag(std::string(128, 'a')));
    CHECK(!is_tag(std::string(129, 'a')));
}

TEST_CASE("references come apart and together again", "[oci]") {
    const std::string digest = "@sha256:" + std::string(64, 'a');
    struct Row {
        std::string text, registry, repository, tag;
        bool digest;
    };
    const auto row = GENERATE_COPY(values<Row>({
        {"localhost/a", "localhost", "a", "", false},
        {"localhost:5000/a/b:v1", "localhost:5000", "a/b", "v1", false},
        {"reg.example/a" + digest, "reg.example", "a", "", true},
        {"reg.example/a:x" + digest, "reg.example", "a", "x", true},
        {"[::1]:5000/a", "[::1]:5000", "a", "", false},
    }));
    CAPTURE(row.text);
    const auto parsed = parse_reference(row.text);
    REQUIRE(parsed);
    CHECK(parsed->registry == row.registry);
    CHECK(parsed->repository == row.repository);
    CHECK(parsed->tag.value_or("") == row.tag);
    CHECK(parsed->digest.has_value() == row.digest);
    CHECK(to_string(*parsed) == row.text);
}

TEST_CASE("what is no reference is refused with a reason", "[oci]") {
    for (const char* bad :
         {"", "nginx", "library/nginx", "reg.example/", "reg.example/A", "reg.example/a:", "reg.example/a@",
          "reg.example/a@sha256:00", "reg.example:0/a", "reg.example:99999/a", "reg.example:x/a",
          "-x.example/a", "[::1/a", "http://reg.example/a", "reg.example/a:b:c", "[]:1/a"}) {
        CAPTURE(bad);
        const auto parsed = parse_reference(bad);
        REQUIRE(!parsed);
        CHECK(parsed.error().code == Code::invalid_argument);
        CHECK(!parsed.error().hint.empty());
    }
}

TEST_CASE("a manifest is named by tag or digest", "[oci]") {
    CHECK(TagOrDigest::parse("v1")->tag == "v1");
    CHECK(TagOrDigest::parse("sha256:" + std::string(64, '0'))->digest);
    CHECK(!TagOrDigest::parse("sha256:xyz"));
    CHECK(!TagOrDigest::parse(""));
    CHECK(!TagOrDigest::parse("../etc"));
}
