#include "cli/interrupt.hpp"
#include <catch2/catch.hpp>
#include <chrono>

using namespace consign::cli;

TEST_CASE("Ctrl-C asks to stop, and the handler of before comes back") {
    struct sigaction before = {}, during = {}, after = {};
    ::sigaction(SIGINT, nullptr, &before);
    {
        const Interrupt interrupt;
        ::sigaction(SIGINT, nullptr, &during);
        CHECK(during.sa_handler != before.sa_handler);
        CHECK_FALSE(interrupt.requested());
        ::raise(SIGINT);
        for (int i = 0; i < 1000 && !interrupt.requested(); ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        CHECK(interrupt.requested());
    }
    ::sigaction(SIGINT, nullptr, &after);
    CHECK(after.sa_handler == before.sa_handler);
}

TEST_CASE("an interrupt that nobody asked for ends quietly, again and again") {
    for (int i = 0; i < 50; ++i) {
        const Interrupt interrupt;
        CHECK_FALSE(interrupt.requested());
    }
}
