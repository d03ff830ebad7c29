#include "artifact/tar_reader.hpp"
#include "consign/artifact/pack.hpp"
#include "consign/base/subprocess.hpp"
#include "trees.hpp"
#include <sys/socket.h>
#include <sys/un.h>

using namespace consign;
using namespace consign::test;
using namespace consign::artifact;
using Catch::Matchers::Contains;

namespace {

/// The tree of the golden digest, in one of two orders and with one of two sets of modes.
void build_tree(const fs::path& root, bool other_way) {
    const mode_t plain = other_way ? 0600 : 0644, program = other_way ? 0700 : 0755;
    std::vector<std::function<void()>> steps{
        [&] { put_file(root / "bin/run", "#!/bin/sh\necho hello\n", program); },
        [&] { put_file(root / "etc/web.conf", "port = {{ inputs.port }}\n", plain); },
        [&] { put_file(root / "a.txt", "", plain); },
        [&] { put_file(root / "a/b", "below a", plain); },
        [&] { put_file(root / "a-b", "a-b", plain); },
        [&] { put_file(root / "naïve.txt", "not ASCII", plain); },
        [&] { put_file(root / std::string(120, 'd') / std::string(90, 'f'), "split", plain); },
        [&] { put_file(root / std::string(160, 'p') / std::string(110, 'q'), "pax", plain); },
        [&] { put_link(root / "etc/run", "../bin/run"); },
        [&] { put_link(root / "dangling", std::string(150, 'x')); },
        [&] { fs::create_directories(root / "empty/inner"); },
    };
    if (other_way) std::ranges::reverse(steps);
    for (const auto& step : steps) step();
    if (other_way)
        for (const auto& item : fs::recursive_directory_iterator(root))
            if (!item.is_symlink())
                fs::last_write_time(item.path(), fs::file_time_type::clock::now() - std::chrono::hours(1000));
}

PackedLayer packed(const fs::path& root, const fs::path& out, PackOptions options = {}) {
    const auto result = pack_directory(root, out, options);
    if (!result) FAIL(to_string(result.error()));
    return *result;
}

std::vector<std::string> names_in(const fs::path& layer) {
    auto input = LayerReader::open(layer, UINT64_MAX);
    REQUIRE(input);
    TarReader tar(std::move(*input));
    std::vector<std::string> names;
    for (;;) {
        auto entry = tar.next();
        REQUIRE(entry);
        if (!*entry) return names;
        names.push_back((*entry)->name);
    }
}

bool have(const char* program) {
    return std::system((std::string("command -v ") + program + " >/dev/null 2>&1").c_str()) == 0;
}

} // namespace

TEST_CASE("the digest depends on the tree and on nothing else") {
    const auto box = scratch();
    build_tree(box.path() / "one", false);
    const auto before = ::umask(077);
    build_tree(box.path() / "two/on/another/path", true);
    const auto two = packed(box.path() / "two/on/another/path", box.path() / "two.zst");
    ::umask(before);
    const auto one = packed(box.path() / "one", box.path() / "one.zst");
    CHECK(one.digest == two.digest);
    CHECK(one.tar_digest == two.tar_digest);
    CHECK(one.entries == 17);
    CHECK(one.size == fs::file_size(one.file));
    CHECK(one.digest == Digest::sha256_of(read_file(one.file).value()));

    // The format is a promise: this constant changes only with docs/artifact-format.md.
    CHECK(one.tar_digest.str() == "sha256:127a0cfd51fad1f7eb406e95bcf3b66769414767c527c86a3ac0d26becb4ae4c");
    CHECK(one.tar_size == 18432);

    put_file(box.path() / "one/a.txt", "", 0744);
    CHECK(packed(box.path() / "one", box.path() / "three.zst").tar_digest !=
          one.tar_digest); // the executable bit counts
    CHECK(packed(box.path() / "two/on/another/path", box.path() / "four.zst", {.mtime_s = 1'700'000'000})
              .tar_digest != one.tar_digest);
}

TEST_CASE("entries are sorted by the bytes of their names in the archive") {
    const auto box = scratch();
    build_tree(box.path() / "tree", false);
    put_file(box.path() / "tree/.git/config", "left out");
    put_file(box.path() / "tree/a/.git/config", "kept");
    const auto layer = packed(box.path() / "tree", box.path() / "layer");
    auto names = names_in(layer.file);
    CHECK(names.size() == layer.entries);
    CHECK(std::vector<std::string>(names.begin(), names.begin() + 6) ==
          std::vector<std::string>{"a-b", "a.txt", "a", "a/.git", "a/.git/config", "a/b"});
    CHECK_FALSE(std::ranges::contains(names, ".git"));
}

TEST_CASE("an empty directory is two zero blocks") {
    const auto box = scratch();
    fs::create_directory(box.path() / "tree");
    const auto layer = packed(box.path() / "tree", box.path() / "layer");
    CHECK(layer.entries == 0);
    CHECK(layer.tar_size == 1024);
    CHECK(layer.tar_digest == Digest::sha256_of(std::string(1024, '\0')));
}

TEST_CASE("hard links become files, and large files keep their bytes") {
    const auto box = scratch();
    std::string big(3'000'017, '\0');
    for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 2654435761u >> 13);
    put_file(box.path() / "tree/big", big);
    fs::create_hard_link(box.path() / "tree/big", box.path() / "tree/same");
    const auto layer = packed(box.path() / "tree", box.path() / "layer");
    fs::create_directory(box.path() / "out");
    REQUIRE(unpack_layer(layer.file, box.path() / "out"));
    CHECK(read_file(box.path() / "out/big").value() == big);
    CHECK(read_file(box.path() / "out/same").value() == big);
    CHECK(fs::hard_link_count(box.path() / "out/big") == 1);
}

TEST_CASE("the system's tar reads what we write") {
    if (!have("tar") || !have("zstd")) {
        WARN("tar or zstd is not installed: skipped");
        return;
    }
    const auto box = scratch();
    build_tree(box.path() / "tree", false);
    const auto layer = packed(box.path() / "tree", box.path() / "layer.tar.zst", {.mtime_s = 1'700'000'000});
    std::string listing;
    auto environment = minimal_environment();
    environment["LC_ALL"] = "C.UTF-8";
    environment["TZ"] = "UTC";
    const auto tar = [&](std::vector<std::string> argv) {
        listing.clear();
        const auto status = run({.argv = std::move(argv), .environment = environment},
                                [&](std::string_view text) { listing += text; });
        REQUIRE(status);
        CAPTURE(listing);
        CHECK(status->ok());
    };
    tar({"tar", "--zstd", "--numeric-owner", "-tvf", layer.file.native()});
    CHECK_THAT(listing, Contains("-rwxr-xr-x 0/0              21 2023-11-14 22:13 bin/run\n"));
    CHECK_THAT(listing, Contains("lrwxrwxrwx 0/0               0 2023-11-14 22:13 etc/run -> ../bin/run\n"));
    CHECK_THAT(listing, Contains("drwxr-xr-x 0/0               0 2023-11-14 22:13 empty/inner/\n"));
    CHECK(std::ranges::count(listing, '\n') == static_cast<std::ptrdiff_t>(layer.entries));
    fs::create_directories(box.path() / "theirs");
    fs::create_directories(box.path() / "ours");
    tar({"tar", "--zstd", "-xf", layer.file.native(), "-C", (box.path() / "theirs").native()});
    REQUIRE(unpack_layer(layer.file, box.path() / "ours"));
    CHECK(contents(box.path() / "theirs") == contents(box.path() / "ours"));
}

TEST_CASE("every level gives the same tar, and levels that do not exist are refused") {
    const auto box = scratch();
    build_tree(box.path() / "tree", false);
    const auto fast = packed(box.path() / "tree", box.path() / "fast", {.zstd_level = 1});
    const auto small = packed(box.path() / "tree", box.path() / "small", {.zstd_level = 22});
    CHECK(fast.tar_digest == small.tar_digest);
    CHECK(names_in(small.file).size() == small.entries);
    for (const int level : {0, -1, 23}) {
        const auto refused = pack_directory(box.path() / "tree", box.path() / "none", {.zstd_level = level});
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Code::invalid_argument);
    }
}

TEST_CASE("what an artifact cannot hold is refused by name, and leaves no file") {
    const auto box = scratch();
    const auto tree = box.path() / "tree", out = box.path() / "layer";
    put_file(tree / "sub/fine", "x");
    const auto refused = [&](std::string_view want, Code code = Code::invalid_argument) {
        const auto result = pack_directory(tree, out);
        REQUIRE_FALSE(result);
        CHECK(result.error().code == code);
        CHECK_THAT(result.error().message, Contains(std::string(want)));
        CHECK_FALSE(fs::exists(out));
    };
    SECTION("a fifo") {
        REQUIRE(::mkfifo((tree / "sub/pipe").c_str(), 0600) == 0);
        refused("tree/sub/pipe': is a named pipe");
    }
    SECTION("a socket") {
        const Fd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const auto path = (tree / "sub/s").native();
        REQUIRE(path.size() < sizeof address.sun_path);
        path.copy(address.sun_path, path.size());
        REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        refused("tree/sub/s': is a socket");
    }
    SECTION("a link to an absolute path") {
        put_link(tree / "sub/l", "/etc/passwd");
        refused("tree/sub/l': its link target '/etc/passwd' is absolute");
    }
    SECTION("a link out of the tree") {
        put_link(tree / "sub/l", "../../x");
        refused("its link target '../../x' leaves the tree");
    }
    SECTION("a link through another link") {
        put_link(tree / "sub/l", "fine/../../../x");
        refused("has '..' after a name");
    }
    SECTION("a control character in a name") {
        put_file(tree / "sub/a\x1b[2J", "x");
        refused("a\\x1b[2J': the name holds a control character");
    }
    SECTION("a name that is not UTF-8") {
        put_file(tree / "sub/a\xff", "x");
        refused("a\\xff': the name is not UTF-8");
    }
    SECTION("no such directory") {
        fs::remove_all(tree);
        refused("tree' is not a directory", Code::not_found);
    }
    SECTION("the archive inside of what it packs") {
        const auto result = pack_directory(tree, tree / "out");
        REQUIRE_FALSE(result);
        CHECK_THAT(result.error().message, Contains("the archive would hold itself"));
        CHECK_FALSE(fs::exists(tree / "out"));
    }
    SECTION("a stop") {
        std::stop_source stop;
        stop.request_stop();
        CHECK(pack_directory(tree, out, {.stop = stop.get_token()}).error().code == Code::cancelled);
        CHECK_FALSE(fs::exists(out));
    }
    SECTION("a time that no header can hold") {
        CHECK(pack_directory(tree, out, {.mtime_s = -1}).error().code == Code::invalid_argument);
        CHECK(pack_directory(tree, out, {.mtime_s = 1ll << 33}).error().code == Code::invalid_argument);
    }
}

TEST_CASE("an unreadable file or directory is named") {
    const auto box = scratch();
    const auto tree = box.path() / "tree";
    put_file(tree / "sub/secret", "x", 0);
    fs::create_directory(box.path() / "out");
    ::chmod((box.path() / "out").c_str(), 0777);
    ::chmod(box.path().c_str(), 0755);
    for (const auto& directory : {tree, tree / "sub"}) ::chmod(directory.c_str(), 0755);
    SECTION("a file") {}
    SECTION("a directory") { ::chmod((tree / "sub").c_str(), 0); }
    // Root reads everything: become somebody else for the moment.
    constexpr uid_t kNobody = 65534;
    const bool root = ::geteuid() == 0;
    if (root) REQUIRE(::seteuid(kNobody) == 0);
    const auto result = pack_directory(tree, box.path() / "out/layer");
    if (root) REQUIRE(::seteuid(0) == 0);
    ::chmod((tree / "sub").c_str(), 0755);
    REQUIRE_FALSE(result);
    CHECK(result.error().code == Code::permission_denied);
    CHECK_THAT(result.error().message, Contains("tree/sub"));
    CHECK_FALSE(result.error().hint.empty());
}
