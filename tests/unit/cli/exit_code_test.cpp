#include "consign/cli/cli.hpp"
#include <catch2/catch.hpp>

using namespace consign;

TEST_CASE("each kind of failure has its exit code") {
    struct Row {
        Code code;
        int want;
    };
    const auto row = GENERATE(values<Row>({
        {Code::invalid_argument, 1},
        {Code::unauthenticated, 4},
        {Code::permission_denied, 4},
        {Code::not_found, 3},
        {Code::conflict, 5},
        {Code::lease_lost, 5},
        {Code::session_superseded, 5},
        {Code::too_large, 1},
        {Code::rate_limited, 6},
        {Code::unavailable, 6},
        {Code::timed_out, 6},
        {Code::cancelled, 1},
        {Code::corrupt, 1},
        {Code::unsupported, 1},
        {Code::storage_full, 1},
        {Code::failed, 7},
        {Code::internal, 1},
    }));
    CAPTURE(name_of(row.code));
    CHECK(cli::exit_code_of(row.code) == row.want);
}
