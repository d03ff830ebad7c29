#include "consign/net/backoff.hpp"
#include <catch2/catch.hpp>

using namespace consign::net;
using namespace std::chrono_literals;

TEST_CASE("pauses grow threefold at most, up to the cap") {
    Backoff backoff(500ms, 30s, [] { return 0.999999; });
    auto previous = 500ms;
    for (int i = 0; i < 20; ++i) {
        const auto pause = backoff.next();
        CHECK(pause <= 3 * previous);
        CHECK(pause >= 500ms);
        CHECK(pause <= 30s);
        previous = pause;
    }
    CHECK(previous == 30s);
    backoff.reset();
    CHECK(backoff.next() <= 1500ms);
}

TEST_CASE("without luck a pause is the base") {
    Backoff backoff(500ms, 30s, [] { return 0.0; });
    for (int i = 0; i < 5; ++i) CHECK(backoff.next() == 500ms);
}

TEST_CASE("the default source is random") {
    Backoff backoff;
    for (int i = 0; i < 50; ++i) {
        const auto pause = backoff.next();
        CHECK((pause >= 500ms && pause <= 30s));
    }
}
