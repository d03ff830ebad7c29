#include "agent/outbox.hpp"
#include <catch2/catch.hpp>
#include <thread>

using namespace consign;
using namespace consign::agent;

namespace {
protocol::StepReport step(int seq, protocol::StepState state = protocol::StepState::running) {
    return {.seq = seq, .name = "step", .state = state, .detail = "", .at = {}};
}
const std::stop_token kNever;
} // namespace

TEST_CASE("log bytes leave in order, and the server's offset decides what is left", "[agent]") {
    net::Mailbox wake;
    Outbox outbox(100, wake);
    outbox.append("hello ", kNever, true);
    outbox.append("world\n", kNever, true);
    CHECK(outbox.next_piece().offset == 100);
    CHECK(outbox.next_piece().bytes == "hello world\n");

    struct Row {
        std::int64_t theirs;
        std::string left;
        bool moved;
        const char* why;
    };
    const auto row = GENERATE(values<Row>({
        {112, "", true, "all of it was stored"},
        {106, "world\n", true, "a piece whose answer was lost"},
        {100, "hello world\n", false, "nothing was stored"},
        {40, "hello world\n", true, "the server lost a tail: what we hold goes on from there"},
        {500, "hello world\n", true, "somebody else wrote: ours comes after"},
    }));
    CAPTURE(row.why);
    CHECK(outbox.resume_at(row.theirs) == row.moved);
    CHECK(outbox.next_piece().offset == row.theirs);
    CHECK(outbox.next_piece().bytes == row.left);
}

TEST_CASE("a batch is due after a moment, a full one and the last one at once", "[agent]") {
    net::Mailbox wake;
    Outbox outbox(0, wake);
    CHECK_FALSE(outbox.due());
    const auto before = std::chrono::steady_clock::now();
    outbox.append("line\n", kNever, true);
    CHECK(outbox.due() >= before + Outbox::kBatchDelay);
    outbox.append(std::string(Outbox::kBatchBytes, 'x'), kNever, true);
    CHECK(outbox.due() == net::SteadyTime::min());
    CHECK(outbox.next_piece().bytes.size() == Outbox::kBatchBytes);
    CHECK(outbox.resume_at(Outbox::kBatchBytes));
    CHECK(outbox.due() > before);
    outbox.close();
    CHECK(outbox.due() == net::SteadyTime::min());
}

TEST_CASE("a full log makes the writer wait until bytes were stored", "[agent]") {
    net::Mailbox wake;
    Outbox outbox(0, wake, 10);
    std::atomic<bool> written = false;
    std::jthread writer([&] {
        outbox.append("0123456789abcdef", kNever, true);
        written = true;
    });
    while (outbox.next_piece().bytes.size() < 10) std::this_thread::yield();
    CHECK_FALSE(written);
    CHECK(outbox.resume_at(10));
    writer.join();
    CHECK(outbox.next_piece().bytes == "abcdef");
}

TEST_CASE("a stop, an abandoned attempt and the I/O thread do not wait for room", "[agent]") {
    net::Mailbox wake;
    Outbox outbox(0, wake, 4);
    outbox.append("full", kNever, true);

    SECTION("stop") {
        std::stop_source stop;
        std::jthread writer([&] { outbox.append("more", stop.get_token(), true); });
        stop.request_stop();
        writer.join();
        CHECK(outbox.resume_at(4));
        outbox.close();
        CHECK(outbox.next_piece().bytes.contains("4 bytes of output were dropped"));
    }
    SECTION("abandoned") {
        std::jthread writer([&] { outbox.append("more", kNever, true); });
        outbox.abandon();
        writer.join();
        outbox.report(step(1));
        CHECK_FALSE(outbox.due());
        CHECK(outbox.next_piece().bytes.empty());
    }
    SECTION("may not wait") {
        outbox.append("more", kNever, false);
        CHECK(outbox.next_piece().bytes == "full");
    }
}

TEST_CASE("the newest report of a step wins, also over one that comes back unsent", "[agent]") {
    net::Mailbox wake;
    Outbox outbox(0, wake);
    outbox.report(step(1));
    outbox.report(step(2));
    auto taken = outbox.take_steps();
    REQUIRE(taken.size() == 2);
    CHECK_FALSE(outbox.due());
    outbox.report(step(2, protocol::StepState::succeeded));
    outbox.put_back(std::move(taken));
    taken = outbox.take_steps();
    REQUIRE(taken.size() == 2);
    CHECK(taken[0].seq == 1);
    CHECK(taken[1].state == protocol::StepState::succeeded);
}
