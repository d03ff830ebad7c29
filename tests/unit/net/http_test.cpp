#include "consign/net/http.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::net;

TEST_CASE("verbs go both ways, in capitals only") {
    for (const auto verb : {Verb::get, Verb::head, Verb::post, Verb::put, Verb::patch, Verb::delete_})
        CHECK(verb_from(name_of(verb)) == verb);
    CHECK_FALSE(verb_from("get"));
    CHECK_FALSE(verb_from("TRACE"));
}

TEST_CASE("header names compare without case") {
    Headers headers;
    headers.add("X-One", "a");
    headers.add("x-one", "b");
    CHECK(headers.get("X-ONE") == "a");
    CHECK(headers.all("x-One") == std::vector<std::string_view>{"a", "b"});
    headers.set("X-onE", "c");
    CHECK(headers.items().size() == 1);
    CHECK(headers.get("x-one") == "c");
    CHECK_FALSE(headers.has("x-two"));
    CHECK(headers.get("x-two").empty());
}

TEST_CASE("a query is decoded like a form") {
    const auto query = Query::parse("a=1&b=x+y%2Fz&&c&=empty&a=2&bad=%zz&tail=%4");
    CHECK(query.get("a") == "1");
    CHECK(query.get("b") == "x y/z");
    CHECK(query.get("c") == "");
    CHECK(query.get("") == "empty");
    CHECK(query.get("bad") == "%zz");
    CHECK(query.get("tail") == "%4");
    CHECK_FALSE(query.get("d"));
    CHECK(query.get_or("d", "otherwise") == "otherwise");
    CHECK(query.items().size() == 7);
    CHECK(Query::parse("").items().empty());
}

TEST_CASE("percent coding round-trips every byte") {
    std::string all;
    for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
    const auto coded = percent_encode(all);
    for (const char c : coded) CHECK((c > 0x20 && c < 0x7f && c != '/' && c != '+'));
    CHECK(percent_decode(coded) == all);
    CHECK(percent_encode("aZ09-._~") == "aZ09-._~");
    CHECK_FALSE(percent_decode("%"));
    CHECK_FALSE(percent_decode("%4"));
    CHECK_FALSE(percent_decode("%4g"));
    CHECK(percent_decode("a+b") == "a+b");
}
