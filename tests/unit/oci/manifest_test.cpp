#include "consign/oci/types.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::oci;

namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');
const std::string kDescriptor = R"({"mediaType":"application/x","digest":")" + kDigest + R"(","size":3})";

std::string image(const std::string& more = "") {
    return R"({"schemaVersion":2,"config":)" + kDescriptor + R"(,"layers":[)" + kDescriptor + "]" + more +
           "}";
}
std::string index(const std::string& more = "") {
    return R"({"schemaVersion":2,"manifests":[)" + kDescriptor + "]" + more + "}";
}

} // namespace

TEST_CASE("manifests that are right", "[oci]") {
    const auto plain = Manifest::parse(image(), media::kImageManifest);
    REQUIRE(plain);
    CHECK(!plain->is_index());
    CHECK(plain->blobs().size() == 2);
    CHECK(Manifest::parse(index(), media::kDockerManifestList)->is_index());
    CHECK(Manifest::parse(index(), "")->media_type == media::kImageIndex);
    CHECK(Manifest::parse(image(), "")->media_type == media::kImageManifest);
    CHECK(Manifest::parse(image(R"(,"mediaType":"application/vnd.oci.image.manifest.v1+json")"),
                          "application/vnd.oci.image.manifest.v1+json; charset=utf-8"));
    const auto rich = Manifest::parse(image(R"(,"artifactType":"application/y","subject":)" + kDescriptor +
                                            R"(,"annotations":{"a":"b"},"unknown":[1])"),
                                      media::kImageManifest);
    REQUIRE(rich);
    CHECK(rich->subject->size == 3);
    CHECK(rich->annotations.at("a") == "b");
    CHECK(Manifest::parse(image(R"(,"annotations":null)"), media::kImageManifest));
}

TEST_CASE("manifests that are wrong are refused by field", "[oci]") {
    struct Row {
        std::string body, type, says;
    };
    const std::string type(media::kImageManifest);
    const auto row = GENERATE_COPY(values<Row>({
        {"", type, "manifest"},
        {"[]", type, "an object"},
        {R"({"schemaVersion":1})", type, "schemaVersion"},
        {R"({"schemaVersion":2})", type, "config"},
        {R"({"schemaVersion":2,"config":null,"layers":[]})", type, "config"},
        {R"({"schemaVersion":2,"config":)" + kDescriptor + "}", type, "layers"},
        {R"({"schemaVersion":2})", std::string(media::kImageIndex), "manifests"},
        {image(), "text/plain", "text/plain"},
        {image(R"(,"mediaType":"application/vnd.oci.image.index.v1+json")"), type, "content type"},
        {image(R"(,"manifests":[])"), type, "'manifests'"}, // CVE-2021-41190
        {index(R"(,"layers":[])"), "", "'layers'"},
        {image(R"(,"artifactType":7)"), type, "artifactType"},
        {image(R"(,"subject":{"mediaType":"a","digest":"sha256:1","size":1})"), type, "subject.digest"},
        {R"({"schemaVersion":2,"config":{"mediaType":"","digest":")" + kDigest +
             R"(","size":1},"layers":[]})",
         type, "config.mediaType"},
        {R"({"schemaVersion":2,"config":{"mediaType":"a","digest":")" + kDigest +
             R"(","size":-1},"layers":[]})",
         type, "config.size"},
        {R"({"schemaVersion":2,"config":{"mediaType":"a","digest":")" + kDigest +
             R"(","size":18446744073709551615},"layers":[]})",
         type, "config.size"},
    }));
    CAPTURE(row.body, row.says);
    const auto parsed = Manifest::parse(row.body, row.type);
    REQUIRE(!parsed);
    CHECK(parsed.error().code == Code::invalid_argument);
    CAPTURE(parsed.error().message);
    CHECK(parsed.error().message.contains(row.says));
}

TEST_CASE("a manifest over the limit is too large", "[oci]") {
    CHECK(Manifest::parse(std::string(kManifestLimitBytes + 1, ' '), media::kImageManifest).error().code ==
          Code::too_large);
}

TEST_CASE("a manifest of ours is deterministic and reads back", "[oci]") {
    Descriptor config{
        .media_type = std::string(media::kEmptyJson), .digest = Digest::sha256_of("{}"), .size = 2};
    const auto made = make_manifest("application/vnd.x", config, {config}, {{"b", "2"}, {"a", "1"}}, config);
    CHECK(made.descriptor.digest == Digest::sha256_of(made.body));
    CHECK(made.descriptor.size == made.body.size());
    CHECK(made.body ==
          make_manifest("application/vnd.x", config, {config}, {{"a", "1"}, {"b", "2"}}, config).body);
    CHECK(!made.body.contains("\"annotations\":{},"));
    const auto parsed = Manifest::parse(made.body, made.descriptor.media_type);
    REQUIRE(parsed);
    CHECK(parsed->artifact_type == "application/vnd.x");
    CHECK(parsed->subject->digest == config.digest);
    CHECK(parsed->annotations.size() == 2);
}
