#include "oci/registry_path.hpp"
#include <catch2/catch.hpp>

using namespace consign::oci;
using Kind = RegistryPath::Kind;

TEST_CASE("registry paths come apart from their end", "[oci]") {
    struct Row {
        std::string path;
        Kind kind;
        std::string repository, reference;
    };
    const auto row = GENERATE(values<Row>({
        {"/v2/", Kind::base, "", ""},
        {"/v2", Kind::base, "", ""},
        {"/v2/_catalog", Kind::catalog, "", ""},
        {"/v2/a/b/c/tags/list", Kind::tags, "a/b/c", ""},
        {"/v2/a/manifests/v1", Kind::manifest, "a", "v1"},
        {"/v2/a/manifests/manifests/manifests", Kind::manifest, "a/manifests", "manifests"},
        {"/v2/a/blobs/sha256%3Aab", Kind::blob, "a", "sha256:ab"},
        {"/v2/a/blobs/uploads/", Kind::uploads, "a", ""},
        {"/v2/a/blobs/uploads", Kind::uploads, "a", ""},
        {"/v2/a/blobs/uploads/id", Kind::upload, "a", "id"},
        {"/v2/a/blobs/uploads/manifests/x", Kind::manifest, "a/blobs/uploads", "x"},
        {"/v2/a/referrers/sha256:ab", Kind::referrers, "a", "sha256:ab"},
    }));
    CAPTURE(row.path);
    const auto parsed = RegistryPath::parse(row.path);
    REQUIRE(parsed);
    CHECK(parsed->kind == row.kind);
    CHECK(parsed->repository == row.repository);
    CHECK(parsed->reference == row.reference);
    CHECK(RegistryPath::parse(to_string(*parsed)) == parsed);
}

TEST_CASE("other paths are no endpoints", "[oci]") {
    for (const char* path :
         {"", "/", "/v1/", "/v2x", "/v2//", "/v2/a", "/v2/a/", "/v2/manifests/x", "/v2/tags/list",
          "/v2/a/manifests/", "/v2/a/blobs/%zz", "/v2/a/blobs/upl%6fads", "/v2/blobs/uploads/"}) {
        CAPTURE(path);
        CHECK(!RegistryPath::parse(path));
    }
}
