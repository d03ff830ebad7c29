#include "consign/oci/archive.hpp"
#include "consign/base/subprocess.hpp"
#include "oci/archive_tar.hpp"
#include "registry_site.hpp"
#include <fcntl.h>
#include <unistd.h>

using namespace consign;
using namespace consign::oci;
using namespace consign::oci::testing;

namespace {

struct Archives : Site {
    std::filesystem::path file = directory.path() / "image.tar";

    Result<void> export_to(Repository& source, std::string tag, CopyOptions options = {}) {
        CONSIGN_TRY(writer, ArchiveWriter::create(file, io.blocking()));
        CONSIGN_CHECK(io.run(copy(source, {.tag = tag, .digest = {}}, *writer, tag, std::move(options))));
        return io.run(writer->finish());
    }
    std::unique_ptr<Repository> open() {
        auto opened = open_archive(file, io.blocking());
        if (!opened) FAIL(to_string(opened.error()));
        return std::move(*opened);
    }
    Error refusal() { return open_archive(file, io.blocking()).error(); }
};

} // namespace

TEST_CASE_METHOD(Archives, "an archive holds an image digest-exact, and the same image makes the same bytes",
                 "[oci]") {
    auto source = local("shop/web");
    const std::string big(700'000, 'b');
    const auto one = push_artifact(io, *source, {"shared", big}, "");
    const auto two = push_artifact(io, *source, {"shared", "small", ""}, "");
    const auto root = make_index({one, two});
    REQUIRE(io.run(put(source.get(), root, "v1")));
    REQUIRE(export_to(*source, "v1"));
    const auto first = read_file(file).value();
    CHECK(std::filesystem::file_size(file) % kTarBlock == 0);
    REQUIRE(export_to(*source, "v1", {.parallel = 8}));
    CHECK(read_file(file).value() == first);

    auto archive = open();
    CHECK(io.run(archive->tags()) == std::vector<std::string>{"v1"});
    auto target = local("back");
    const auto copied = io.run(copy(*archive, {.tag = "v1", .digest = {}}, *target, "v2"));
    REQUIRE(copied);
    CHECK(copied->digest == root.descriptor.digest);
    CHECK(io.run(target->fetch_manifest({.tag = "v2", .digest = {}})).value().body == root.body);
    CHECK(io.run(fetch_text(target.get(), describe_blob(big))) == big);
    CHECK(io.run(archive->fetch_manifest({})).value().body == root.body); // the only one
    CHECK(io.run(archive->has_blob(describe_blob("small"))) == true);
    CHECK(io.run(archive->has_blob(describe_blob("none"))) == false);
    CHECK(io.run(fetch_text(archive.get(), describe_blob("none"))).error().code == Code::not_found);
    CHECK(io.run(archive->fetch_manifest({.tag = "v9", .digest = {}})).error().code == Code::not_found);
}

TEST_CASE_METHOD(Archives, "tar reads what is written", "[oci]") {
    push_artifact(io, *local("a"), {"x"}, "v1");
    REQUIRE(export_to(*local("a"), "v1"));
    std::string listing;
    const auto status = run({.argv = {"tar", "-tvf", file.string()}, .environment = minimal_environment()},
                            [&](std::string_view text) { listing += text; });
    REQUIRE(status);
    CHECK(status->ok());
    CHECK(listing.contains("-rw-r--r-- 0/0"));
    CHECK(listing.contains("oci-layout"));
    CHECK(listing.contains("index.json"));
}

TEST_CASE_METHOD(Archives, "an archive of any tar is read", "[oci]") {
    auto source = layout("image");
    const auto manifest = push_artifact(io, *source, {"x", std::string(5000, 'y')}, "v1");
    const auto format = GENERATE("--format=gnu", "--format=pax", "--format=ustar", "--format=v7");
    CAPTURE(format);
    const auto status =
        run({.argv = {"tar", format, "-C", (directory.path() / "image").string(), "-cf", file.string(), "."},
             .environment = minimal_environment()},
            [](std::string_view) {});
    REQUIRE(status);
    REQUIRE(status->ok());
    CHECK(io.run(open()->fetch_manifest({.tag = "v1", .digest = {}})).value().body == manifest.body);
    CHECK(io.run(fetch_text(open().get(), describe_blob(std::string(5000, 'y')))) == std::string(5000, 'y'));
}

TEST_CASE_METHOD(Archives, "what is no archive, or a damaged one, is said", "[oci]") {
    CHECK(refusal().code == Code::not_found);
    REQUIRE(write_file_atomic(file, std::string_view("")));
    CHECK(refusal().code == Code::invalid_argument);
    REQUIRE(write_file_atomic(file, std::string(5000, 'g')));
    CHECK(refusal().code == Code::invalid_argument);
    REQUIRE(write_file_atomic(file, tar_header("some/file", 0) + std::string(1024, '\0')));
    CHECK(refusal().message.contains("no OCI archive"));

    push_artifact(io, *local("a"), {std::string(20'000, 'x')}, "v1");
    REQUIRE(export_to(*local("a"), "v1"));
    const auto whole = read_file(file).value();
    REQUIRE(write_file_atomic(file, whole.substr(0, 9'000)));
    CHECK(refusal().code == Code::corrupt);
    auto other = whole;
    other[other.find("xxxx") + 100] = 'y';
    REQUIRE(write_file_atomic(file, other));
    CHECK(io.run(fetch_text(open().get(), describe_blob(std::string(20'000, 'x')))).error().code ==
          Code::corrupt);
    auto header = whole;
    header[header.find("index.json") + 20] = '7';
    REQUIRE(write_file_atomic(file, header));
    CHECK(refusal().code == Code::corrupt);
}

TEST_CASE_METHOD(Archives, "a copy that fails leaves what was there", "[oci]") {
    REQUIRE(write_file_atomic(file, std::string_view("before")));
    auto source = layout("source");
    push_artifact(io, *source, {"precious"}, "v1");
    REQUIRE(write_file_atomic(directory.path() / "source/blobs/sha256" /
                                  std::string(describe_blob("precious").digest.hex()),
                              std::string_view("PRECIOUS")));
    CHECK(export_to(*source, "v1").error().code == Code::corrupt);
    CHECK(read_file(file) == "before");
    std::size_t entries = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory.path()))
        entries += entry.path().string().contains(".part-");
    CHECK(entries == 0);
}

TEST_CASE("headers hold sizes of any length", "[oci]") {
    TemporaryDirectory directory = std::move(*TemporaryDirectory::make("tar"));
    const auto path = directory.path() / "sparse.tar";
    const std::uint64_t size = 9ull << 30; // more than eleven octal digits
    auto file = open_file(path, O_RDWR | O_CREAT).value();
    REQUIRE(write_all(file.get(), as_bytes(tar_header("big", size)), path));
    REQUIRE(::ftruncate(file.get(), static_cast<off_t>(kTarBlock + size + 2 * kTarBlock)) == 0);
    const auto spans = index_tar(file.get(), path);
    REQUIRE(spans);
    CHECK(spans->at("big").size == size);
    CHECK(spans->at("big").offset == kTarBlock);
}
