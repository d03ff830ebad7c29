#include "consign/net/url.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::net;

TEST_CASE("a URL is split and put together again") {
    struct Row {
        std::string text, host;
        int port;
        std::string target, str;
    };
    const auto row = GENERATE(values<Row>({
        {"http://h", "h", 80, "/", "http://h/"},
        {"HTTPS://Example.COM:443/a?b=c#d", "example.com", 443, "/a?b=c", "https://example.com/a?b=c"},
        {"http://h:8400/x%2Fy", "h", 8400, "/x%2Fy", "http://h:8400/x%2Fy"},
        {"https://[::1]:99?q", "::1", 99, "/?q", "https://[::1]:99/?q"},
        {"http://10.0.0.1:/", "10.0.0.1", 80, "/", "http://10.0.0.1/"},
    }));
    CAPTURE(row.text);
    const auto url = Url::parse(row.text);
    REQUIRE(url);
    CHECK(url->host == row.host);
    CHECK(url->port == row.port);
    CHECK(url->target == row.target);
    CHECK(url->str() == row.str);
    CHECK(Url::parse(url->str())->str() == row.str);
}

TEST_CASE("a bad URL says what is missing") {
    const auto text = GENERATE(as<std::string>(), "", "example.com", "example.com:80/x", "ftp://h/",
                               "http://", "http:///x", "http://h:0/", "http://h:65536/", "http://u:p@h/",
                               "http://h/a b", "http://h\r\nX: y/", "http://a%0d%0ab/");
    CAPTURE(text);
    const auto url = Url::parse(text);
    REQUIRE_FALSE(url);
    CHECK(url.error().code == Code::invalid_argument);
    CHECK(url.error().message.find("u:p") == std::string::npos);
}

TEST_CASE("a bare host is told to add a scheme") {
    CHECK(Url::parse("localhost:8400").error().message.find("http:// or https://") != std::string::npos);
}

TEST_CASE("a name that begins like an address is a name: nobody else is connected to") {
    for (const char* host : {"10.0.0.1.nip.io", "127.0.0.1.example", "1.2.3.4a", "1.2.3.4-x.example", "10.0.0.1"}) {
        CAPTURE(host);
        const auto url = Url::parse("http://" + std::string(host) + ":81/a?b");
        REQUIRE(url);
        CHECK(url->host == host);
        CHECK(url->port == 81);
        CHECK(url->target == "/a?b");
        CHECK(Url::parse("https://" + std::string(host))->str() == "https://" + std::string(host) + "/");
        CHECK(url->resolve("/c")->str() == "http://" + std::string(host) + ":81/c");
        CHECK(Url::parse("http://b/")->resolve("//" + std::string(host) + "/d")->host == host);
        CHECK(url->resolve("http://b/")->host == "b");
    }
}

TEST_CASE("references resolve as RFC 3986 section 5.4 says") {
    struct Row {
        std::string reference, want;
    };
    const auto row = GENERATE(values<Row>({
        {"g", "http://a/b/c/g"},
        {"/g", "http://a/g"},
        {"../g", "http://a/b/g"},
        {"?y", "http://a/b/c/d?y"},
        {"//other:81/g", "http://other:81/g"},
        {"https://z/y", "https://z/y"},
        {"", "http://a/b/c/d?q"},
    }));
    CAPTURE(row.reference);
    const auto base = Url::parse("http://a/b/c/d?q");
    REQUIRE(base);
    const auto url = base->resolve(row.reference);
    REQUIRE(url);
    CHECK(url->str() == row.want);
}

TEST_CASE("a redirect cannot lead out of HTTP") {
    const auto base = Url::parse("http://a/");
    CHECK_FALSE(base->resolve("file:///etc/passwd"));
    CHECK_FALSE(base->resolve("ht tp://x"));
}
