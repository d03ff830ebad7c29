#include "install/listing.hpp"
#include "consign/base/file.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::install;
namespace fs = std::filesystem;

namespace {
struct Tree {
    TemporaryDirectory directory = std::move(*TemporaryDirectory::make("listing"));
    fs::path root = directory.path() / "root";

    Tree() {
        fs::create_directories(root / "etc");
        write("bin", "#!/bin/sh\n", 0755);
        write("etc/web.conf", "port=80\n");
        fs::create_symlink("bin", root / "run");
    }
    void write(const std::string& name, std::string_view text, mode_t mode = 0644) {
        REQUIRE(write_file_atomic(root / name, text, mode));
    }
    Listing list() { return *list_tree(root); }
};
} // namespace

TEST_CASE("a tree that nobody touched has no differences", "[listing]") {
    Tree tree;
    const auto before = tree.list();
    CHECK(before.size() == 3);
    CHECK(differences(before, tree.root)->empty());
    tree.write("run.pid", "17"); // programs write where they run
    CHECK(differences(before, tree.root)->empty());
}

TEST_CASE("content, mode, target and absence are differences", "[listing]") {
    Tree tree;
    const auto before = tree.list();
    SECTION("content") {
        tree.write("etc/web.conf", "port=81\n");
        CHECK(*differences(before, tree.root) == "etc/web.conf changed");
    }
    SECTION("mode") {
        fs::permissions(tree.root / "bin", fs::perms::owner_all);
        CHECK(*differences(before, tree.root) == "bin changed");
    }
    SECTION("target") {
        fs::remove(tree.root / "run");
        fs::create_symlink("etc", tree.root / "run");
        CHECK(*differences(before, tree.root) == "run changed");
    }
    SECTION("absence") {
        fs::remove_all(tree.root / "etc");
        CHECK(*differences(before, tree.root) == "etc/web.conf missing");
    }
    SECTION("many are counted") {
        Listing many;
        for (int i = 0; i < 10; ++i) many["file" + std::to_string(i)] = "x";
        CHECK(*differences(many, tree.root) == "file0 missing, file1 missing, file2 missing and 7 more");
    }
}

TEST_CASE("a listing comes back from disk, and a damaged one is told apart from none", "[listing]") {
    Tree tree;
    const auto file = tree.directory.path() / "listing";
    CHECK(load_listing(file).error().code == Code::not_found);
    REQUIRE(save_listing(file, tree.list()));
    CHECK(*load_listing(file) == tree.list());
    REQUIRE(write_file_atomic(file, std::string_view("{\"bin\":"), 0600));
    CHECK(load_listing(file).error().code == Code::corrupt);
}
