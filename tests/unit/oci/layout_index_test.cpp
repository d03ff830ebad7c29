#include "oci/layout_index.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::oci;

namespace {
Descriptor entry(std::string_view text) {
    return {.media_type = std::string(media::kImageManifest),
            .digest = Digest::sha256_of(text),
            .size = text.size()};
}
std::optional<Descriptor> found(const LayoutIndex& index, const std::string& tag) {
    return index.find({.tag = tag, .digest = {}}).value();
}
} // namespace

TEST_CASE("a tag belongs to one manifest, a manifest may have several", "[oci]") {
    LayoutIndex index;
    index.set(entry("a"), "v1");
    index.set(entry("a"), "latest");
    index.set(entry("b"), "latest");
    CHECK(found(index, "v1")->digest == entry("a").digest);
    CHECK(found(index, "latest")->digest == entry("b").digest);
    CHECK(found(index, "latest")->annotations.empty());
    CHECK(!found(index, "v2"));
    CHECK(index.tags() == std::vector<std::string>{"latest", "v1"});
    const auto again = LayoutIndex::parse(index.text(), "index.json");
    REQUIRE(again);
    CHECK(again->text() == index.text());
    CHECK(index.find({.tag = {}, .digest = entry("a").digest}).value());
}

TEST_CASE("without a name it is the only one", "[oci]") {
    LayoutIndex index;
    CHECK(!found(index, ""));
    index.set(entry("a"), "");
    CHECK(found(index, "")->digest == entry("a").digest);
    index.set(entry("a"), "v1"); // the nameless entry gets the name
    CHECK(index.all().size() == 1);
    index.set(entry("referrer"), ""); // is listed, but was not meant
    index.set(entry("referrer"), "");
    CHECK(index.all().size() == 2);
    CHECK(found(index, "")->digest == entry("a").digest);
    index.set(entry("b"), "v2");
    const auto several = index.find({});
    REQUIRE(!several);
    CHECK(several.error().hint.contains("v1, v2"));
}

TEST_CASE("entries are removed by tag or with all their tags", "[oci]") {
    LayoutIndex index;
    index.set(entry("a"), "v1");
    index.set(entry("a"), "v2");
    CHECK(!index.remove({.tag = "v3", .digest = {}}));
    CHECK(index.remove({.tag = "v1", .digest = {}}));
    CHECK(found(index, "v2"));
    CHECK(index.remove({.tag = {}, .digest = entry("a").digest}));
    CHECK(index.all().empty());
}

TEST_CASE("what others wrote into the index stays, and what is none is refused", "[oci]") {
    auto index = LayoutIndex::parse(R"({"schemaVersion":2,"manifests":[],"annotations":{"a":"b"}})", "x");
    REQUIRE(index);
    index->set(entry("a"), "v1");
    CHECK(index->text().contains(R"("annotations":{"a":"b"})"));
    for (const char* bad : {"", "[]", "{}", R"({"manifests":{}})", R"({"manifests":[{"digest":"x"}]})"})
        CHECK(LayoutIndex::parse(bad, "x").error().code == Code::corrupt);
    CHECK(LayoutIndex::check_marker(kLayoutMarker, "x"));
    CHECK(LayoutIndex::check_marker(R"({"imageLayoutVersion":"2.0.0"})", "x").error().code ==
          Code::unsupported);
}
