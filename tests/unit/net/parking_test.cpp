#include "consign/net/mailbox.hpp"
#include "unit/net/support.hpp"

#if __has_include(<sanitizer/allocator_interface.h>)
#include <sanitizer/allocator_interface.h>
#endif

using namespace consign;
using namespace consign::net;
using namespace consign::net::test;

namespace {
struct Board {
    Mailbox mailbox;
    std::atomic<int> woken = 0;
    std::atomic<int> last = -1;
};

std::string name(Wake wake) {
    switch (wake) {
    case Wake::notified:
        return "notified";
    case Wake::deadline:
        return "deadline";
    case Wake::gone:
        return "gone";
    case Wake::draining:
        return "draining";
    }
    return "?";
}

Async<Response> park(std::shared_ptr<Board> board, Request* request) {
    const auto seen = board->mailbox.version();
    const auto wait = std::chrono::milliseconds(std::stoi(request->query.get_or("ms", "60000")));
    const auto wake =
        co_await request->parking->wait_past(board->mailbox, seen, std::chrono::steady_clock::now() + wait);
    board->last = static_cast<int>(wake);
    ++board->woken;
    co_return Response::text(200, name(wake) + ".");
}

Handler parker(std::shared_ptr<Board> board) {
    return [board](Request& request) { return park(board, &request); };
}

/// Parks without its request, as the polls of agents do.
class Slip final : public Later {
  public:
    explicit Slip(std::shared_ptr<Board> board) : board_(std::move(board)), seen_(board_->mailbox.version()) {}
    Until until() override { return {board_->mailbox, seen_, SteadyTime::max()}; }
    std::chrono::milliseconds limit() const override { return std::chrono::seconds(30); }
    Async<Response> resume(std::shared_ptr<Later>, Wake why) override {
        ++board_->woken;
        co_return Response::text(200, name(why) + ".");
    }

  private:
    const std::shared_ptr<Board> board_;
    const std::uint64_t seen_;
};

Async<Response> slip(std::shared_ptr<Board> board) {
    co_return Response{.later = std::make_shared<Slip>(std::move(board))};
}

constexpr std::string_view kPoll = "GET /poll HTTP/1.1\r\nHost: x\r\n\r\n";
} // namespace

TEST_CASE("an answer that is still to come wakes on notify, and its connection goes on") {
    auto board = std::make_shared<Board>();
    Running running([board](Request&) { return slip(board); });
    Raw raw(running.server->port());
    for (int i = 1; i <= 3; ++i) {
        raw.say(kPoll);
        REQUIRE(eventually([&] { return board->mailbox.waiters() == 1; }));
        board->mailbox.notify();
        CHECK(raw.hear("notified.").ends_with("notified."));
        CHECK(board->woken == i);
    }
}

TEST_CASE("an answer that is still to come is dropped with its peer, and given when the server drains") {
    auto board = std::make_shared<Board>();
    Running running([board](Request&) { return slip(board); });
    {
        Raw gone(running.server->port());
        gone.say(kPoll);
        REQUIRE(eventually([&] { return board->mailbox.waiters() == 1; }));
    }
    REQUIRE(eventually([&] { return board->mailbox.waiters() == 0; }));
    CHECK(board->woken == 0);
    Raw stays(running.server->port());
    stays.say(kPoll);
    REQUIRE(eventually([&] { return board->mailbox.waiters() == 1; }));
    running.server->drain(std::chrono::seconds(5));
    CHECK(stays.hear("draining.").ends_with("draining."));
}

TEST_CASE("a parked request wakes on notify from another thread") {
    auto board = std::make_shared<Board>();
    Running running(parker(board), {.threads = 2});
    std::vector<Raw> raws;
    for (int i = 0; i < 20; ++i) raws.emplace_back(running.server->port()).say(kPoll);
    REQUIRE(eventually([&] { return board->mailbox.waiters() == 20; }));
    board->mailbox.notify();
    for (auto& raw : raws) CHECK(raw.hear("notified.").ends_with("notified."));
    CHECK(board->mailbox.waiters() == 0);
}

TEST_CASE("a parked request ends at its deadline, and the connection goes on") {
    auto board = std::make_shared<Board>();
    Running running(parker(board));
    Raw raw(running.server->port());
    for (int i = 0; i < 3; ++i)
        CHECK(raw.say("GET /?ms=20 HTTP/1.1\r\nHost: x\r\n\r\n").hear("deadline.").find("200 OK") !=
              std::string::npos);
    CHECK(board->mailbox.waiters() == 0);
}

TEST_CASE("a parked request notices that its peer hung up") {
    auto board = std::make_shared<Board>();
    Running running(parker(board));
    Raw raw(running.server->port());
    raw.say(kPoll);
    REQUIRE(eventually([&] { return board->mailbox.waiters() == 1; }));
    raw.close();
    CHECK(eventually([&] { return board->woken == 1; }));
    CHECK(board->last == static_cast<int>(Wake::gone));
    CHECK(eventually([&] { return running.server->connections() == 0; }));
}

TEST_CASE("pipelined bytes are not a hang-up") {
    auto board = std::make_shared<Board>();
    Running running(parker(board));
    Raw early(running.server->port()), late(running.server->port());
    early.say(std::string(kPoll) + std::string(kPoll));
    late.say(kPoll);
    REQUIRE(eventually([&] { return board->mailbox.waiters() == 2; }));
    late.say(kPoll);
    std::this_thread::sleep_for(50ms);
    CHECK(board->woken == 0);
    board->mailbox.notify();
    CHECK(early.hear("notified.").ends_with("notified."));
    CHECK(late.hear("notified.").ends_with("notified."));
    REQUIRE(eventually([&] { return board->mailbox.waiters() == 2; }));
    board->mailbox.notify();
    CHECK(early.hear("notified.").ends_with("notified."));
    CHECK(late.hear("notified.").ends_with("notified."));
}

TEST_CASE("drain wakes parked requests, which still answer") {
    auto board = std::make_shared<Board>();
    Running running(parker(board), {.threads = 2});
    std::vector<Raw> raws;
    for (int i = 0; i < 6; ++i) raws.emplace_back(running.server->port()).say(kPoll);
    Raw idle(running.server->port());
    REQUIRE(eventually([&] { return board->mailbox.waiters() == 6 && running.server->connections() == 7; }));
    const auto begun = std::chrono::steady_clock::now();
    running.server->drain(30s);
    CHECK(std::chrono::steady_clock::now() - begun < 20s);
    for (auto& raw : raws) {
        const auto answer = raw.hear_all();
        CHECK(answer.find("draining.") != std::string::npos);
        CHECK(answer.find("Connection: close") != std::string::npos);
    }
    CHECK(idle.closed());
    CHECK(running.server->connections() == 0);
}

TEST_CASE("drain lets a running request finish, and cancels one that takes too long") {
    struct Slow {
        static Async<Response> handle(std::shared_ptr<std::atomic<int>> begun, std::string ms) {
            ++*begun;
            co_await sleep_for(std::chrono::milliseconds(std::stoi(ms)));
            co_return Response::text(200, co_await cancelled() ? "cut" : "whole");
        }
    };
    auto begun = std::make_shared<std::atomic<int>>(0);
    Running running(
        [begun](Request& request) { return Slow::handle(begun, request.query.get_or("ms", "0")); });
    Raw brief(running.server->port()), endless(running.server->port());
    brief.say("GET /?ms=200 HTTP/1.1\r\nHost: x\r\n\r\n");
    endless.say("GET /?ms=3600000 HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE(eventually([&] { return *begun == 2; }));
    running.server->drain(2s);
    CHECK(brief.hear_all().ends_with("whole"));
    CHECK(endless.hear_all().empty());
}

TEST_CASE("no wake-up is lost when everything fires at once") {
    auto board = std::make_shared<Board>();
    Running running(parker(board), {.threads = 2});
    std::atomic<bool> stop = false;
    std::thread notifier([&] {
        while (!stop) {
            board->mailbox.notify();
            std::this_thread::sleep_for(1ms);
        }
    });
    std::vector<std::thread> pollers;
    for (int t = 0; t < 3; ++t)
        pollers.emplace_back([&, t] {
            for (int i = 0; i < 60; ++i) {
                Raw raw(running.server->port());
                raw.say("GET /?ms=" + std::to_string(i % 3) + " HTTP/1.1\r\nHost: x\r\n\r\n");
                if ((i + t) % 2 == 0) raw.hear(".");
            }
        });
    for (auto& poller : pollers) poller.join();
    stop = true;
    notifier.join();
    CHECK(eventually([&] { return board->mailbox.waiters() == 0 && running.server->connections() == 0; }));
}

TEST_CASE("a version that moved already does not wait") {
    auto board = std::make_shared<Board>();
    struct Behind {
        static Async<Response> handle(std::shared_ptr<Board> board, Request* request) {
            const auto seen = board->mailbox.version();
            board->mailbox.notify();
            const auto wake = co_await request->parking->wait_past(board->mailbox, seen, SteadyTime::max());
            co_return Response::text(200, name(wake) + ".");
        }
    };
    Running running([board](Request& request) { return Behind::handle(board, &request); });
    Raw raw(running.server->port());
    CHECK(raw.say(kPoll).hear("notified.").ends_with("notified."));
}

#if __has_feature(address_sanitizer)
// Ten thousand agents park here: what one costs is a limit, not a detail. Live heap bytes as the
// allocator counts them, without the sanitizer's red zones; the kernel's share is not ours.
TEST_CASE("a parked poll costs less than 3 KiB") {
    constexpr std::size_t kPolls = 200;
    auto board = std::make_shared<Board>();
    Running running([board](Request&) { return slip(board); });
    std::vector<Raw> raws;
    raws.emplace_back(running.server->port()).say(kPoll);
    REQUIRE(eventually([&] { return board->mailbox.waiters() == 1; }));
    raws.reserve(kPolls + 1);
    const auto before = __sanitizer_get_current_allocated_bytes();
    for (std::size_t i = 0; i < kPolls; ++i) raws.emplace_back(running.server->port()).say(kPoll);
    REQUIRE(eventually([&] { return board->mailbox.waiters() == kPolls + 1; }));
    const auto each = (__sanitizer_get_current_allocated_bytes() - before) / kPolls;
    CAPTURE(each);

    CHECK(each < 3 * 1024);
    board->mailbox.notify();
}

// Both ends live in this process: the mean of a server's end and a client's, which holds the certificate
// besides.
TEST_CASE("a parked poll over TLS costs less than 20 KiB an end") {
    constexpr std::size_t kPolls = 50;
    const auto certificate = Certificate::make();
    auto board = std::make_shared<Board>();
    Running running(parker(board),
                    {.tls_certificate_file = certificate.cert, .tls_key_file = certificate.key});
    struct Poll {
        static Async<void> one(std::shared_ptr<Client> client, Url url) {
            static_cast<void>(co_await client->send({.url = std::move(url)}));
        }
        static Async<Result<int>> many(std::shared_ptr<Client> client, Url url, std::size_t count) {
            TaskGroup group(client->executor());
            for (std::size_t i = 0; i < count; ++i) group.spawn(one(client, url));
            co_await group.join();
            co_return 0;
        }
    };
    IoThread io;
    auto client = std::make_shared<Client>(io.executor(),
                                           ClientOptions{.ca_file = certificate.cert, .idle_per_origin = 1});
    std::thread first([&] { CHECK(io.run(Poll::many(client, running.url("/", "https"), 1))); });
    REQUIRE(eventually([&] { return board->mailbox.waiters() == 1; }));
    const auto before = __sanitizer_get_current_allocated_bytes();
    std::thread rest([&] { CHECK(io.run(Poll::many(client, running.url("/", "https"), kPolls))); });
    REQUIRE(eventually([&] { return board->mailbox.waiters() == kPolls + 1; }));
    // The clients are still at work when the server has parked the last one.
    std::size_t each = 0;
    const bool small = eventually([&] {
        each = (__sanitizer_get_current_allocated_bytes() - before) / kPolls / 2;
        return each < 20 * 1024;
    });
    board->mailbox.notify();
    first.join();
    rest.join();
    INFO("bytes an end: " << each);
    CHECK(small);
}
#endif
