#include "consign/base/json.hpp"
#include "consign/net/server.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::net;

TEST_CASE("every code survives the way through a problem body") {
    for (int i = 0; i <= static_cast<int>(Code::internal); ++i) {
        const auto code = static_cast<Code>(i);
        CAPTURE(name_of(code));
        const auto response = problem({code, "the message", "the hint"});
        CHECK(response.status == status_of(code));
        CHECK(response.status >= 400);
        CHECK(response.headers.has("Retry-After") ==
              (code == Code::rate_limited || code == Code::unavailable));
        const auto& text = std::get<std::string>(response.body);
        const auto body = json::parse(text);
        REQUIRE(body);
        for (const char* key : {"type", "title", "status", "detail", "code", "hint"})
            CHECK(body->contains(key));
        const auto back = error_from(response.status, response.headers.get("Content-Type"), text);
        CHECK(back.code == code);
        CHECK(back.message == "the message");
        CHECK(back.hint == "the hint");
    }
}

TEST_CASE("a status alone stands for an error") {
    CHECK(error_from(404, "text/html", "<html>").code == Code::not_found);
    CHECK(error_from(404, "text/html", "<html>").message == "HTTP 404 Not Found");
    CHECK(error_from(502, "", "").code == Code::unavailable);
    CHECK(error_from(418, "", "").code == Code::invalid_argument);
    CHECK(error_from(599, "", "").code == Code::internal);
    CHECK(error_from(409, "application/problem+json", "{broken").code == Code::conflict);
    CHECK(error_from(400, "text/plain", "no\r\nway").message == "HTTP 400 Bad Request: no  way");
}

TEST_CASE("a message that is not UTF-8 still makes a problem") {
    const auto response = problem({Code::invalid_argument, "bad \xff byte"});
    CHECK(json::parse(std::get<std::string>(response.body)));
}
