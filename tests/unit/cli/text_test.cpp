#include "cli/text.hpp"
#include <catch2/catch.hpp>

using namespace consign::cli;

TEST_CASE("what a server sends cannot drive the terminal") {
    CHECK(printable("plain text") == "plain text");
    CHECK(printable("\x1b[2Jgone") == "[2Jgone");
    CHECK(printable("a\x7f\xc2\x9b"
                    "b") == "ab"); // DEL, and CSI as one C1 character
    CHECK(printable("user\u202Eexe.txt") == "userexe.txt");
    CHECK(printable("two\nlines\tand tab") == "two lines and tab");
    CHECK(printable("two\nlines\r\n", true) == "two\nlines\n");
    CHECK(printable("caf\u00e9 \u65e5\u672c") == "caf\u00e9 \u65e5\u672c");
}

TEST_CASE("malformed UTF-8 becomes the replacement character, byte by byte") {
    CHECK(printable("a\xff"
                    "b") == "a\uFFFDb");
    CHECK(printable("\xc0\x9b") == "\uFFFD\uFFFD");           // ESC, overlong
    CHECK(printable("\xed\xa0\x80") == "\uFFFD\uFFFD\uFFFD"); // a surrogate
    CHECK(printable("\xe2\x82") == "\uFFFD\uFFFD");           // cut off
}

TEST_CASE("width counts columns, not bytes") {
    CHECK(display_width("abc") == 3);
    CHECK(display_width("caf\u00e9") == 4);
    CHECK(display_width("cafe\u0301") == 4);
    CHECK(display_width("\u65e5\u672c") == 4);
    CHECK(fit_width("abcdef", 6) == "abcdef");
    CHECK(fit_width("abcdef", 4) == "abc…");
    CHECK(fit_width("\u65e5\u672c\u8a9e", 4) == "\u65e5…");
    CHECK(fit_width("abc", 0).empty());
}

TEST_CASE("a character cut in two by a read is recognised") {
    CHECK(incomplete_tail("abc") == 0);
    CHECK(incomplete_tail("ab\xe2\x82") == 2);
    CHECK(incomplete_tail("ab\xe2") == 1);
    CHECK(incomplete_tail("ab\xe2\x82\xac") == 0);
    CHECK(incomplete_tail("\xf0\x9f\x98") == 3);
    CHECK(incomplete_tail("\x80\x80\x80\x80") == 0);
    CHECK(incomplete_tail("") == 0);
}
