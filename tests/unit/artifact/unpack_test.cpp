// Archives made to do harm. Whatever the error, nothing may appear or change outside of the target.
#include "consign/artifact/pack.hpp"
#include "trees.hpp"
#include <random>
#include <zstd.h>

using namespace consign;
using namespace consign::test;
using namespace consign::artifact;
using Catch::Matchers::Contains;

namespace {

std::string compressed(std::string_view bytes, int level = 3) {
    std::string out(ZSTD_compressBound(bytes.size()), '\0');
    const auto size = ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), level);
    REQUIRE_FALSE(ZSTD_isError(size));
    out.resize(size);
    return out;
}

/// A target with a file beside it that an archive would like to have.
class Box {
  public:
    Box() {
        fs::create_directory(target());
        put_file(directory_.path() / "victim", "untouched");
    }
    fs::path target() const { return directory_.path() / "target"; }
    Result<void> unpack(std::string_view bytes, UnpackLimits limits = {}) {
        put_file(directory_.path() / "layer", bytes);
        const auto result = unpack_layer(directory_.path() / "layer", target(), limits);
        std::vector<std::string> names;
        for (const auto& item : fs::directory_iterator(directory_.path()))
            names.push_back(item.path().filename());
        std::ranges::sort(names);
        CHECK(names == std::vector<std::string>{"layer", "target", "victim"});
        CHECK(read_file(directory_.path() / "victim").value() == "untouched");
        return result;
    }

  private:
    TemporaryDirectory directory_ = scratch();
};

/// A pax header with one record.
Raw pax(std::string_view key, std::string_view value) {
    const auto rest = key.size() + value.size() + 3;
    std::size_t length = rest + 1;
    while (std::to_string(length).size() + rest != length) ++length;
    return {.name = "pax", .type = 'x', .content = std::format("{} {}={}\n", length, key, value)};
}

} // namespace

TEST_CASE("an honest archive unpacks, plain or compressed, in one frame or several") {
    const auto tar = raw_tar({{.name = "./", .type = '5'},
                              {.name = "./d/", .type = '5', .mode = 0700},
                              {.name = "d/f", .content = "text", .mode = 04751},
                              {.name = "implied/deep/g", .content = "g", .mode = 0600},
                              {.name = "implied/", .type = '5'},
                              {.name = "l", .type = '2', .link = "d/f"},
                              {.name = "empty"}});
    const std::map<std::string, std::string> want{{"d", "dir 755"},
                                                  {"d/f", "file 755 text"}, // setuid is dropped
                                                  {"empty", "file 644 "},
                                                  {"implied", "dir 755"},
                                                  {"implied/deep", "dir 755"},
                                                  {"implied/deep/g", "file 644 g"},
                                                  {"l", "link d/f"}};
    const std::string skippable("\x50\x2a\x4d\x18\x03\x00\x00\x00xyz", 11);
    const auto before = ::umask(0077);
    Box box;
    SECTION("plain") { CHECK(box.unpack(tar)); }
    SECTION("plain, padded as other tars do") { CHECK(box.unpack(tar + std::string(9 * 512, '\0'))); }
    SECTION("zstd") { CHECK(box.unpack(compressed(tar))); }
    SECTION("two frames and skippable ones around them") {
        CHECK(box.unpack(skippable + compressed(tar.substr(0, 700)) + skippable +
                         compressed(tar.substr(700)) + skippable));
    }
    ::umask(before);
    CHECK(contents(box.target()) == want);
}

TEST_CASE("long names of GNU and pax, and sizes in base 256") {
    const std::string long_name = std::string(200, 'n') + "/" + std::string(200, 'm');
    Box box;
    std::string base256 = "\x80" + std::string(11, '\0');
    base256[11] = 4;
    CHECK(box.unpack(raw_tar(
        {{.name = "L", .type = 'L', .content = long_name + '\0', .magic = std::string("ustar  \0", 8)},
         {.name = "short", .content = "gnu!", .magic = std::string("ustar  \0", 8), .size_field = base256},
         pax("linkpath", long_name),
         pax("path", "link"),
         {.name = "x", .type = '2', .link = "y"}})));
    CHECK(read_file(box.target() / long_name).value() == "gnu!");
    CHECK(fs::read_symlink(box.target() / "link") == long_name);
}

TEST_CASE("hostile entries are refused by name") {
    struct Row {
        std::string why;
        std::vector<Raw> entries;
        std::string want;
    };
    const auto row = GENERATE(values<Row>({
        {"dot dot", {{.name = "../victim", .content = "x"}}, "'../victim' has a name that holds '..'"},
        {"dot dot inside", {{.name = "a/../../victim", .content = "x"}}, "holds '..'"},
        {"dot dot as a directory", {{.name = "../", .type = '5'}}, "holds '..'"},
        {"absolute", {{.name = "/tmp/consign-evil", .content = "x"}}, "is absolute"},
        {"absolute behind a dot", {{.name = ".//etc", .content = "x"}}, "is absolute"},
        {"pax path", {pax("path", "../victim"), {.name = "fine", .content = "x"}}, "holds '..'"},
        {"GNU long name",
         {{.name = "L", .type = 'L', .content = "../victim"}, {.name = "fine"}},
         "holds '..'"},
        {"a link out",
         {{.name = "l", .type = '2', .link = ".."}},
         "'l' is a link whose target '..' leaves the tree"},
        {"an absolute link", {{.name = "l", .type = '2', .link = "/etc"}}, "is absolute"},
        {"pax linkpath",
         {pax("linkpath", "/etc"), {.name = "l", .type = '2', .link = "fine"}},
         "is absolute"},
        {"a link up through a link",
         {{.name = "d/l", .type = '2', .link = "."}, {.name = "m", .type = '2', .link = "d/l/l/../../.."}},
         "has '..' after a name"},
        {"a file below a link",
         {{.name = "d/", .type = '5'},
          {.name = "l", .type = '2', .link = "d"},
          {.name = "l/f", .content = "x"}},
         "the entry 'l/f' lies below 'l', which is not a directory"},
        {"a directory below a link",
         {{.name = "d/", .type = '5'},
          {.name = "l", .type = '2', .link = "d"},
          {.name = "l/e/", .type = '5'}},
         "lies below 'l'"},
        {"a file below a file", {{.name = "f"}, {.name = "f/g"}}, "lies below 'f'"},
        {"a file over a link",
         {{.name = "l", .type = '2', .link = "victim"}, {.name = "l", .content = "x"}},
         "'l' is in the archive twice"},
        {"a file twice", {{.name = "f"}, {.name = "./f"}}, "'f' is in the archive twice"},
        {"a directory twice",
         {{.name = "d/", .type = '5'}, {.name = "d/", .type = '5'}},
         "'d' is in the archive twice"},
        {"a directory over a link",
         {{.name = "e/", .type = '5'}, {.name = "l", .type = '2', .link = "e"}, {.name = "l/", .type = '5'}},
         "twice"},
        {"a hard link", {{.name = "h", .type = '1', .link = "../victim"}}, "'h' is a hard link"},
        {"a character device", {{.name = "null", .type = '3'}}, "'null' is a character device"},
        {"a block device", {{.name = "sda", .type = '4'}}, "is a block device"},
        {"a fifo", {{.name = "p", .type = '6'}}, "is a named pipe"},
        {"a global header", {{.name = "g", .type = 'g'}}, "is a global pax header"},
        {"a sparse file", {{.name = "s", .type = 'S'}}, "is a sparse file"},
        {"an unknown type", {{.name = "z", .type = 'Z'}}, "is of an unknown type"},
        {"an empty name", {{.name = ""}}, "is empty"},
        {"the root as a file", {{.name = "./"}}, "has a name that"},
        {"a file that ends in a slash", {{.name = "f/"}}, "has a name that"},
        {"a control character", {{.name = "a\nb"}}, "'a\\x0ab' has a name that holds a control character"},
        {"not UTF-8", {{.name = "a\xff"}}, "'a\\xff' has a name that is not UTF-8"},
        {"NUL in a pax path",
         {pax("path", std::string_view("a\0b", 3)), {.name = "x"}},
         "a pax header is malformed"},
        {"a bad checksum", {{.name = "f", .bad_checksum = true}}, "wrong checksum"},
        {"another magic", {{.name = "f", .magic = "        "}}, "not of the ustar format"},
        {"a size that is no number",
         {{.name = "f", .size_field = "9999999999z"}},
         "size field is not an octal number"},
        {"a negative size",
         {{.name = "f", .size_field = std::string(12, '\xff')}},
         "size field is out of range"},
        {"a directory with content",
         {{.name = "d/", .type = '5', .content = "x"}},
         "has content but is not a file"},
        {"a pax header and no entry", {pax("path", "a")}, "is cut short"},
        {"a huge pax header",
         {{.name = "pax", .type = 'x', .size_field = "00100000000"}},
         "is an extended header of"},
        {"a huge promised size", {{.name = "f", .size_field = "77777777777"}}, "cut short"},
    }));
    CAPTURE(row.why);
    const bool zstd = GENERATE(true, false);
    Box box;
    const auto tar = raw_tar(row.entries);
    const auto result = box.unpack(zstd ? compressed(tar) : tar);
    REQUIRE_FALSE(result);
    CHECK(result.error().code == Code::corrupt);
    CHECK_THAT(result.error().message, Contains(row.want));
    CHECK_FALSE(fs::exists("/tmp/consign-evil"));
}

TEST_CASE("damaged archives are refused") {
    const auto tar =
        raw_tar({{.name = "f", .content = std::string(2000, 'x')}, {.name = "g", .content = "y"}});
    const auto layer = compressed(tar);
    SECTION("a plain tar cut anywhere") {
        for (std::size_t size = 0; size < tar.size(); size += 256) {
            CAPTURE(size);
            Box box;
            CHECK(box.unpack(tar.substr(0, size)).error().code == Code::corrupt);
        }
    }
    SECTION("a zstd frame cut anywhere") {
        for (std::size_t size = 0; size < layer.size(); size += 7) {
            CAPTURE(size);
            Box box;
            CHECK(box.unpack(layer.substr(0, size)).error().code == Code::corrupt);
        }
    }
    SECTION("one zero block only") { CHECK_FALSE(Box().unpack(tar.substr(0, tar.size() - 512))); }
    SECTION("more after the end") {
        CHECK_THAT(Box().unpack(tar + tar).error().message, Contains("goes on after its end"));
        CHECK_THAT(Box().unpack(layer + "garbage").error().message, Contains("zstd"));
        CHECK_FALSE(Box().unpack(layer + layer));
    }
    SECTION("not an archive at all") {
        CHECK(Box().unpack("\x1f\x8b\x08 gzip").error().code == Code::corrupt);
        CHECK(Box().unpack(std::string(4096, 'A')).error().code == Code::corrupt);
    }
    SECTION("a changed byte in our own layer") {
        const auto box = scratch();
        put_file(box.path() / "tree/f", "some text");
        REQUIRE(pack_directory(box.path() / "tree", box.path() / "layer"));
        auto bytes = read_file(box.path() / "layer").value();
        bytes[bytes.size() / 2] ^= 1;
        CHECK(Box().unpack(bytes).error().code == Code::corrupt);
    }
}

TEST_CASE("limits hold") {
    const auto bomb = compressed(raw_tar({{.name = "zeros", .content = std::string(64u << 20, '\0')}}));
    REQUIRE(bomb.size() < 20'000);
    CHECK(Box().unpack(bomb, {.max_bytes = 1u << 20}).error().code == Code::too_large);
    // The same without an honest size: what comes out is counted, not what is promised.
    CHECK(Box().unpack(compressed(std::string(64u << 20, '\0')), {.max_bytes = 1u << 20}).error().code ==
          Code::too_large);
    const auto three = raw_tar({{.name = "a"}, {.name = "b"}, {.name = "c"}});
    CHECK(Box().unpack(three, {.max_entries = 3}));
    CHECK(Box().unpack(three, {.max_entries = 2}).error().code == Code::too_large);
    // Directories that no entry names are not entries, and are bounded all the same.
    std::string below;
    for (int depth = 0; depth < 45; ++depth) below += "/a";
    std::vector<Raw> deep;
    for (int i = 1000; i < 1230; ++i) deep.push_back({.name = std::to_string(i) + below + "/f"});
    CHECK(Box().unpack(raw_tar(deep)).error().code == Code::too_large);

    // A frame that asks for a window of 128 MiB.
    std::string wide(1u << 20, 'x');
    ZSTD_CCtx* context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 27);
    std::string out(1u << 20, '\0');
    ZSTD_inBuffer in{wide.data(), wide.size(), 0};
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    ZSTD_compressStream2(context, &to, &in, ZSTD_e_flush);
    ZSTD_compressStream2(context, &to, &in, ZSTD_e_end);
    ZSTD_freeCCtx(context);
    CHECK(Box().unpack(out.substr(0, to.pos)).error().code == Code::corrupt);
}

TEST_CASE("the target must be there and empty") {
    const auto box = scratch();
    put_file(box.path() / "layer", raw_tar({}));
    CHECK(unpack_layer(box.path() / "layer", box.path() / "none").error().code == Code::not_found);
    put_file(box.path() / "full/x", "");
    CHECK(unpack_layer(box.path() / "layer", box.path() / "full").error().code == Code::invalid_argument);
    fs::create_directory(box.path() / "target");
    CHECK(unpack_layer(box.path() / "none", box.path() / "target").error().code == Code::not_found);
    std::stop_source stop;
    stop.request_stop();
    CHECK(unpack_layer(box.path() / "layer", box.path() / "target", {}, stop.get_token()).error().code ==
          Code::cancelled);
    CHECK(unpack_layer(box.path() / "layer", box.path() / "target"));
}

TEST_CASE("random trees come back as they were, with the same digest") {
    std::mt19937 random(11);
    for (int round = 0; round < 20; ++round) {
        CAPTURE(round);
        const auto box = scratch();
        std::vector<std::string> directories{""};
        fs::create_directory(box.path() / "tree");
        for (int i = 0; i < 30; ++i) {
            const auto parent = directories[random() % directories.size()];
            const auto name =
                parent + std::format("{}{}", random() % 4 ? "n" : "ñ", i) + std::string(random() % 90, 'x');
            switch (random() % 4) {
            case 0:
                fs::create_directory(box.path() / "tree" / name);
                directories.push_back(name + "/");
                break;
            case 1:
                put_link(box.path() / "tree" / name, "somewhere/else");
                break;
            default:
                put_file(box.path() / "tree" / name, std::string(random() % 5000, 'c'),
                         random() % 2 ? 0755 : 0644);
            }
        }
        const auto first = pack_directory(box.path() / "tree", box.path() / "first");
        REQUIRE(first);
        fs::create_directory(box.path() / "out");
        REQUIRE(unpack_layer(first->file, box.path() / "out"));
        CHECK(contents(box.path() / "out") == contents(box.path() / "tree"));
        const auto second = pack_directory(box.path() / "out", box.path() / "second");
        REQUIRE(second);
        CHECK(second->digest == first->digest);
    }
}
