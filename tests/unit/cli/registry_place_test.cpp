#include "cli/registry_place.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::cli;

namespace {
const std::string kDigest = "sha256:" + std::string(64, 'a');
}

TEST_CASE("places are read as people write them") {
    struct Row {
        std::string text;
        Place::Kind kind;
        std::string scheme, where, repository, which;
    };
    using enum Place::Kind;
    const auto row = GENERATE(values<Row>({
        {"r.example/a/b:v1", remote, "", "r.example", "a/b", "v1"},
        {"r.example/a", remote, "", "r.example", "a", ""},
        {"docker://r.example:5000/a@" + kDigest, remote, "", "r.example:5000", "a", kDigest},
        {"r.example/a:v1@" + kDigest, remote, "", "r.example", "a", kDigest},
        {"http://127.0.0.1:5000/a:v1", remote, "http", "127.0.0.1:5000", "a", "v1"},
        {"https://r.example/a:v1", remote, "https", "r.example", "a", "v1"},
        {"docker.io/alpine:3", remote, "", "registry-1.docker.io", "library/alpine", "3"},
        {"docker.io/team/app:3", remote, "", "registry-1.docker.io", "team/app", "3"},
        {"ims:shop/web:1.0", remote, "", "", "shop/web", "1.0"},
        {"oci:/a/b:v1", layout, "", "/a/b", "", "v1"},
        {"oci:dir", layout, "", "dir", "", ""},
        {"oci:a:b/c", layout, "", "a:b/c", "", ""},
        {"oci:a:b/c:v1", layout, "", "a:b/c", "", "v1"},
        {"oci:dir@" + kDigest, layout, "", "dir", "", kDigest},
        {"oci-archive:x.tar:v1", archive, "", "x.tar", "", "v1"},
    }));
    CAPTURE(row.text);
    const auto place = parse_place(row.text);
    REQUIRE(place);
    CHECK(place->kind == row.kind);
    CHECK(place->scheme == row.scheme);
    CHECK((row.kind == remote ? place->registry : place->path.string()) == row.where);
    CHECK(place->repository == row.repository);
    CHECK(place->which.str() == row.which);
    CHECK(place->of_ims == row.text.starts_with("ims:"));
    CHECK(place->text == row.text);
}

TEST_CASE("what is no place is said, with what one looks like") {
    const auto text =
        GENERATE("", "web", "shop/web:v1", "r.example", "r.example/UPPER", "r.example/a:", "oci:", "oci::v1",
                 "dir:/tmp/x", "docker-archive:x.tar", "ims:", "r.example/a@sha256:1");
    CAPTURE(text);
    const auto place = parse_place(text);
    REQUIRE(!place);
    CHECK(place.error().code == Code::invalid_argument);
    CHECK(place.error().hint.contains("oci-archive:"));
}

TEST_CASE("a registry is a host") {
    CHECK(parse_registry("")->of_ims);
    CHECK(parse_registry("ims")->of_ims);
    CHECK(parse_registry("r.example:5000")->registry == "r.example:5000");
    CHECK(parse_registry("https://r.example/")->registry == "r.example");
    CHECK(parse_registry("http://127.0.0.1:5000")->scheme == "http");
    CHECK(parse_registry("docker.io")->registry == "registry-1.docker.io");
    for (const char* bad : {"r.example/a", "/", "a b", "http://"}) {
        CAPTURE(bad);
        CHECK(!parse_registry(bad));
    }
}
