#include "artifact/entry_name.hpp"
#include <catch2/catch.hpp>

using namespace consign::artifact;

TEST_CASE("names stay below the root and can be printed") {
    for (const auto* good : {"a", "a/b", ".hidden", "..a", "a..", "a b", "naïve/日本", "😀", "a\\b"}) {
        CAPTURE(good);
        CHECK(fault_of_name(good).empty());
    }
    struct Row {
        std::string name, want;
    };
    const auto row = GENERATE(values<Row>({
        {"", "is empty"},
        {"/a", "is absolute"},
        {"..", "holds '..'"},
        {"a/../b", "holds '..'"},
        {"a//b", "holds an empty or '.' part"},
        {"a/", "holds an empty or '.' part"},
        {"./a", "holds an empty or '.' part"},
        {"a\nb", "holds a control character"},
        {"a\x7f", "holds a control character"},
        {"a\xc2\x9b", "holds a control character"},
        {std::string("a\0b", 3), "holds a control character"},
        {"a\xff", "is not UTF-8"},
        {"\xc0\xaf", "is not UTF-8"},         // an overlong '/'
        {"\xed\xa0\x80", "is not UTF-8"},     // a surrogate
        {"\xf4\x90\x80\x80", "is not UTF-8"}, // past U+10FFFF
        {"\xe2\x82", "is not UTF-8"},
        {std::string(256, 'a'), "has a part longer than 255 bytes"},
    }));
    CAPTURE(row.name);
    CHECK(fault_of_name(row.name) == row.want);
}

TEST_CASE("links stay inside the tree") {
    struct Row {
        std::string name, target, want;
    };
    const auto row = GENERATE(values<Row>({
        {"a", "b", ""},
        {"a", ".", ""},
        {"a/b", "../c", ""},
        {"a/b/c", "../../d/e", ""},
        {"a/b", "./../c", ""},
        {"a/b", "..", ""},
        {"a", "b/", ""},
        {"a", "", "is empty"},
        {"a", "/etc/passwd", "is absolute"},
        {"a", "..", "leaves the tree"},
        {"a", "../b", "leaves the tree"},
        {"a/b", "../../c", "leaves the tree"},
        {"a/b", "./.././../c", "leaves the tree"},
        {"a/b/c", "d/../../e", "has '..' after a name"},
        {"a", "b\n", "holds a control character"},
        {"a", "\xff", "is not UTF-8"},
    }));
    CAPTURE(row.name, row.target);
    CHECK(fault_of_link(row.name, row.target) == row.want);
}

TEST_CASE("messages show names without their tricks") {
    CHECK(printable("a\x1b[2Jb\xff") == "a\\x1b[2Jb\\xff");
    CHECK(printable("naïve") == "naïve");
    CHECK(printable(std::string(5000, 'a')).size() < 300);
}
