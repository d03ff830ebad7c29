#include "oci/conditional.hpp"
#include <catch2/catch.hpp>

using namespace consign::oci;

TEST_CASE("If-None-Match names the tag or not", "[oci]") {
    struct Row {
        const char* field;
        bool want;
    };
    const auto row = GENERATE(values<Row>({
        {"", false},
        {"*", true},
        {" * ", true},
        {"\"a\"", true},
        {"W/\"a\"", true},
        {"\"b\"", false},
        {"\"b\", \"a\"", true},
        {"\"b\",W/\"a\"", true},
        {", ,\"a\"", true},
        {"\"b,\\\", \"a\"", true}, // a comma and a backslash inside of a tag
        {"a", false},
        {"\"a", false},
        {"b, \"a\"", false}, // not a list of tags at all
        {"\"A\"", false},
        {"\"aa\"", false},
        {"w/\"a\"", false},
    }));
    CAPTURE(row.field);
    CHECK(if_none_match(row.field, "\"a\"") == row.want);
}

TEST_CASE("If-Range allows the range for exactly this tag", "[oci]") {
    CHECK(if_range("", "\"a\""));
    CHECK(if_range("\"a\"", "\"a\""));
    for (const char* other : {"\"b\"", "W/\"a\"", "*", "Sun, 06 Nov 1994 08:49:37 GMT"}) {
        CAPTURE(other);
        CHECK(!if_range(other, "\"a\""));
    }
}
