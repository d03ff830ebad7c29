#include "consign/base/error.hpp"
#include <catch2/catch.hpp>
#include <cerrno>

using namespace consign;

TEST_CASE("every code has a name that leads back to it") {
    for (int i = 0; i <= static_cast<int>(Code::internal); ++i) {
        const auto code = static_cast<Code>(i);
        CAPTURE(name_of(code));
        CHECK(code_from_name(name_of(code)) == code);
    }
    CHECK(name_of(Code::lease_lost) == "lease_lost");
    CHECK(code_from_name("from_a_newer_version") == Code::internal);
}

TEST_CASE("errno becomes a code and keeps its text") {
    const auto [number, code] = GENERATE(table<int, Code>({
        {ENOSPC, Code::storage_full},
        {EDQUOT, Code::storage_full},
        {ENOENT, Code::not_found},
        {EACCES, Code::permission_denied},
        {EPERM, Code::permission_denied},
        {EEXIST, Code::conflict},
        {EIO, Code::internal},
    }));
    const Error error = fail_errno("cannot open 'x'", number).error();
    CHECK(error.code == code);
    CHECK(error.message.starts_with("cannot open 'x': "));
    CHECK(error.message.size() > 20);
}

TEST_CASE("context goes in front, the hint behind") {
    const Error error = with_context({Code::not_found, "no app 'shop'", "apply it first"}, "deploy");
    CHECK(error.code == Code::not_found);
    CHECK(to_string(error) == "deploy: no app 'shop' (apply it first)");
    CHECK(to_string(Error{Code::failed, "plain"}) == "plain");
}

namespace {
Result<int> half(int value) {
    if (value % 2 != 0) return fail(Code::invalid_argument, "odd");
    return value / 2;
}
Result<int> quarter(int value) {
    CONSIGN_TRY(first, half(value));
    CONSIGN_TRY(second, half(first));
    return second;
}
Result<void> is_even(int value) {
    CONSIGN_CHECK(half(value));
    return {};
}
} // namespace

TEST_CASE("CONSIGN_TRY and CONSIGN_CHECK hand errors on") {
    CHECK(quarter(12) == 3);
    CHECK(quarter(6).error().message == "odd");
    CHECK(is_even(2));
    CHECK(is_even(3).error().code == Code::invalid_argument);
}
