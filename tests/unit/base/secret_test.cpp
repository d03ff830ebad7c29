#include "consign/base/secret.hpp"
#include <catch2/catch.hpp>
#include <format>
#include <ostream>

using consign::Secret;
using S = Secret<std::string>;

// The point of the type: none of these compile.
template <class T>
concept Streams = requires(std::ostream& out, const T& value) { out << value; };
template <class T>
concept Compares = requires(const T& a, const T& b) { a == b; };
static_assert(!Streams<S> && !Compares<S>);
static_assert(!std::is_default_constructible_v<std::formatter<S, char>>, "no formatter");
static_assert(!std::is_convertible_v<S, std::string> && !std::is_convertible_v<std::string, S>);

TEST_CASE("a secret is copied whole and moved away whole") {
    const auto value = GENERATE(std::string("short"), std::string(100, 'x'), std::string());
    S secret(value);
    S copy = secret;
    CHECK(copy.reveal() == value);
    S moved = std::move(secret);
    CHECK(moved.reveal() == value);
    CHECK(secret.empty()); // NOLINT(bugprone-use-after-move): being empty afterwards is the contract
    copy = S("other");
    CHECK(copy.reveal() == "other");
    copy = moved;
    CHECK(copy.reveal() == value);
    S& same = copy;
    copy = same;
    CHECK(copy.reveal() == value);
}
