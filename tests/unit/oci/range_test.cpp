#include "oci/range.hpp"
#include <catch2/catch.hpp>

using namespace consign::oci;

TEST_CASE("one byte range", "[oci]") {
    struct Row {
        const char* field;
        RangeKind kind;
        std::uint64_t first, size;
    };
    const auto row = GENERATE(values<Row>({
        {"", RangeKind::whole, 0, 0},
        {"bytes=0-0", RangeKind::part, 0, 1},
        {"bytes=2-", RangeKind::part, 2, 8},
        {"bytes=-3", RangeKind::part, 7, 3},
        {"bytes=-30", RangeKind::part, 0, 10},
        {"bytes=5-99", RangeKind::part, 5, 5},
        {"bytes=10-", RangeKind::unsatisfiable, 0, 0},
        {"bytes=-0", RangeKind::unsatisfiable, 0, 0},
        {"bytes=3-1", RangeKind::whole, 0, 0},
        {"bytes=0-1,3-4", RangeKind::whole, 0, 0},
        {"bytes=a-b", RangeKind::whole, 0, 0},
        {"bytes=-", RangeKind::whole, 0, 0},
        {"lines=0-1", RangeKind::whole, 0, 0},
        {"bytes=1-99999999999999999999", RangeKind::part, 1, 9},
        {"bytes=-99999999999999999999", RangeKind::part, 0, 10},
        {"bytes=99999999999999999999-", RangeKind::unsatisfiable, 0, 0},
        {"bytes=+1-2", RangeKind::whole, 0, 0},
        {"bytes=1-2-3", RangeKind::whole, 0, 0},
    }));
    CAPTURE(row.field);
    ByteRange range;
    CHECK(parse_range(row.field, 10, range) == row.kind);
    CHECK(range.first == row.first);
    CHECK(range.size == row.size);
}

TEST_CASE("the range of a chunk", "[oci]") {
    CHECK(parse_chunk_range("0-9")->size == 10);
    CHECK(parse_chunk_range("bytes 5-5/*")->first == 5);
    for (const char* bad : {"", "5", "9-5", "a-b", "0-18446744073709551615", "-5"}) {
        CAPTURE(bad);
        CHECK(!parse_chunk_range(bad));
    }
}
