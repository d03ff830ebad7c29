#include "agent/redactor.hpp"
#include <catch2/catch.hpp>
#include <random>

using consign::agent::Redactor;

namespace {
std::string all(Redactor& redactor, std::string_view text, std::size_t piece) {
    std::string out;
    for (std::size_t at = 0; at < text.size(); at += piece) out += redactor.feed(text.substr(at, piece));
    return out + redactor.finish();
}
} // namespace

TEST_CASE("secrets are replaced, wherever a pipe cuts them", "[agent]") {
    const auto piece = GENERATE(1u, 2u, 3u, 7u, 1000u);
    CAPTURE(piece);
    Redactor redactor;
    redactor.add("hunter2");
    redactor.add("s3cr3t-value");
    CHECK(all(redactor, "password=hunter2\nno secret\nhunter2hunter2 s3cr3t-value end", piece) ==
          "password=(redacted)\nno secret\n(redacted)(redacted) (redacted) end");
}

TEST_CASE("what is left of overlapping secrets is nothing", "[agent]") {
    Redactor redactor;
    redactor.add("abcd");
    redactor.add("cdef");
    redactor.add("abcdefgh");
    CHECK(redactor.redact("xabcdefy abcd cdef abcdefghi") ==
          "x(redacted)y (redacted) (redacted) (redacted)i");
    redactor.add("aaaa");
    CHECK(redactor.redact("aaaaaaa!") == "(redacted)!");
}

TEST_CASE("a secret of several lines is hidden line by line", "[agent]") {
    Redactor redactor;
    redactor.add("-----BEGIN KEY-----\r\nAbCdEf123\nxyz\n");
    CHECK(all(redactor, "cat key\n-----BEGIN KEY-----\nAbCdEf123\nxyz\n", 1000) ==
          "cat key\n(redacted)\n(redacted)\nxyz\n");
}

TEST_CASE("short values are left alone: they would eat ordinary words", "[agent]") {
    Redactor redactor;
    redactor.add("abc");
    redactor.add("");
    CHECK(redactor.redact("abc") == "abc");
}

TEST_CASE("a line waits for its end, a very long one does not", "[agent]") {
    Redactor redactor;
    redactor.add("topsecret");
    CHECK(redactor.feed("half a li") == "");
    CHECK(redactor.feed("ne\n") == "half a line\n");

    const std::string filler(Redactor::kLongestLine - 4, 'x');
    std::string out = redactor.feed(filler + "topse");
    CHECK(out.size() >= filler.size() - 16); // it flows,
    out += redactor.feed("cret and more") + redactor.finish();
    CHECK(out == filler + "(redacted) and more"); // and the secret across the cut is found
}

TEST_CASE("a secret learned in the middle of a line holds for all of it", "[agent]") {
    Redactor redactor;
    CHECK(redactor.feed("token tok_123456").empty());
    redactor.add("tok_123456");
    CHECK(redactor.feed("\n") == "token (redacted)\n");
}

TEST_CASE("cut anywhere, nothing of a secret leaves a long line", "[agent]") {
    std::mt19937 random(GENERATE(1u, 2u, 3u));
    Redactor redactor;
    redactor.add("QQQQ"); // overlaps with itself
    redactor.add("QQRRSSTTUU");
    std::string text;
    while (text.size() < 3 * Redactor::kLongestLine) {
        text += std::string(random() % 4000, '.');
        text += random() % 2 ? std::string(4 + random() % 5, 'Q') : "QQRRSSTTUU";
    }
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const auto piece = 1 + random() % 50'000;
        out += redactor.feed(std::string_view(text).substr(at, piece));
        at += piece;
    }
    out += redactor.finish();
    CHECK(out == redactor.redact(text));
    CHECK(out.find_first_of("QRSTU") == out.npos);
}

TEST_CASE("a secret that fills a long line without end stays bounded", "[agent]") {
    Redactor redactor;
    redactor.add("aaaa");
    std::string out;
    for (int i = 0; i < 10; ++i) out += redactor.feed(std::string(40'000, 'a'));
    out += redactor.feed("!\n");
    CHECK(out == "(redacted)!\n");
}
