#include "consign/net/server.hpp"
#include "unit/net/support.hpp"

using namespace consign;
using namespace consign::net;
using namespace consign::net::test;

namespace {
int status_in(const std::string& answer) { return answer.size() > 12 ? std::stoi(answer.substr(9, 3)) : 0; }

Async<Response> throws(Request&) {
    co_await sleep_for(1ms);
    throw std::runtime_error("secret detail");
}
Async<Response> nothing(Request&) { co_return Response::empty(204); }
Async<Response> splits(Request& request) {
    auto response = Response::text(200, "x");
    response.headers.set("X-Back", percent_decode(request.query.get_or("v", "")).value_or(""));
    co_return response;
}
Async<Response> describe(Request& request) {
    auto response = Response::text(200, std::string(name_of(request.verb)) + " " + request.path + " q=" +
                                            request.query.get_or("q", "-") + " from " + request.remote);
    co_return response;
}
Async<Response> streams(Request& request) {
    const auto size = std::stoull(request.query.get_or("size", "0"));
    const auto fail_at = std::stoull(request.query.get_or("fail", "18446744073709551615"));
    std::optional<std::uint64_t> length;
    if (request.query.get("length")) length = size;
    co_return Response{.body = StreamBody{std::make_shared<PatternSource>(size, fail_at), length}};
}
} // namespace

TEST_CASE("requests follow one another on a connection, pipelined or not") {
    Running running(describe);
    Raw raw(running.server->port());
    raw.say("GET /a?q=1 HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(raw.hear("from 127.0.0.1").find("GET /a q=1") != std::string::npos);
    CHECK(raw.hear("from 127.0.0.1").find("GET /b q=-") != std::string::npos);
    raw.say("\r\nDELETE http://proxy/c?q=2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    const auto last = raw.hear_all();
    CHECK(last.find("DELETE /c q=2") != std::string::npos);
    CHECK(last.find("Connection: close\r\n") != std::string::npos);
    CHECK(last.find("Date: ") != std::string::npos);
}

TEST_CASE("a head may arrive byte by byte") {
    Running running(describe);
    Raw raw(running.server->port());
    for (const char c : std::string("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")) {
        raw.say(std::string(1, c));
        std::this_thread::sleep_for(1ms);
    }
    CHECK(raw.hear("127.0.0.1").find("GET /slow") != std::string::npos);
}

TEST_CASE("requests that two parties could read differently are refused") {
    struct Row {
        std::string text;
        int want;
        std::string why;
    };
    const auto row = GENERATE(values<Row>({
        {"GET / HTTP/1.1\r\n\r\n", 400, "no Host"},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "two Hosts"},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         400, "both framings"},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
         400, "both, other order"},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501,
         "a coding we do not know"},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501, "not chunked"},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "chunked in HTTP/1.0"},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400, "two lengths"},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nx", 400, "a negative length"},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\nx", 400,
         "a length beyond 64 bits"},
        {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, "a space before the colon"},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: a\x01z\r\n\r\n", 400, "a control character"},
        {"GET relative HTTP/1.1\r\nHost: a\r\n\r\n", 400, "a target that is no path"},
        {"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501, "an unknown method"},
        {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 400, "an HTTP version of the future"},
        {"nonsense\r\n\r\n", 400, "not HTTP"},
    }));
    CAPTURE(row.why);
    Running running(hello);
    Raw raw(running.server->port());
    const auto answer = raw.say(row.text).hear_all();
    CAPTURE(answer);
    CHECK(status_in(answer) == row.want);
    CHECK(answer.find("application/problem+json") != std::string::npos);
    CHECK(answer.find("HTTP/1.1", 1) == std::string::npos);
}

TEST_CASE("a head beyond the limit is refused with 431") {
    Running running(hello, {.header_limit_bytes = 1024});
    Raw raw(running.server->port());
    const auto answer =
        raw.say("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(100'000, 'y') + "\r\n\r\n").hear_all();
    CHECK(status_in(answer) == 431);
}

TEST_CASE("a TLS hello at a plain port is refused at once, not when the head is overdue") {
    Running running(hello, {.header_deadline = 1h});
    Raw raw(running.server->port());
    const auto answer = raw.say(std::string("\x16\x03\x01\x02\x00\x01", 6)).hear("TLS");
    CHECK(answer.starts_with("HTTP/1.1 400"));
    CHECK(answer.ends_with("TLS"));
}

TEST_CASE("slow heads and idle connections are closed") {
    Running running(hello, {.header_deadline = 100ms, .idle_deadline = 100ms});
    Raw slow(running.server->port());
    CHECK(status_in(slow.say("GET / HT").hear_all()) == 408);
    Raw idle(running.server->port());
    CHECK(idle.closed());
    CHECK(eventually([&] { return running.server->connections() == 0; }));
}

TEST_CASE("a body that stalls ends with a timeout for its handler") {
    Running running(echo, {.io_deadline = 100ms});
    Raw raw(running.server->port());
    const auto answer = raw.say("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc").hear_all();
    CHECK(status_in(answer) == 504);
}

TEST_CASE("a body that trickles in is no progress: it ends with a timeout, too") {
    Running running(echo, {.io_deadline = 200ms, .body_pace_bytes = 1024});
    Raw raw(running.server->port());
    raw.say("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
    std::atomic<bool> answered = false;
    std::thread trickle([&] {
        while (!answered) {
            raw.say("x");
            std::this_thread::sleep_for(5ms); // never silent for io_deadline
        }
    });
    const auto answer = raw.hear("}");
    answered = true;
    trickle.join();
    CHECK(status_in(answer) == 504);
    CHECK(answer.find("application/problem+json") != std::string::npos);
}

TEST_CASE("a body that keeps the pace may take many deadlines") {
    Running running(echo, {.io_deadline = 1s, .body_pace_bytes = 1000});
    Raw raw(running.server->port());
    raw.say("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 40000\r\n\r\n");
    for (int i = 0; i < 40; ++i) { // 2 s in all
        raw.say(std::string(1000, 'x'));
        std::this_thread::sleep_for(50ms);
    }
    CHECK(status_in(raw.hear(std::string(40'000, 'x'))) == 200);
}

TEST_CASE("a handler that takes too long is answered for, whatever it waits for") {
    struct Late {
        Mailbox mailbox;
        std::atomic<bool> release = false;
        std::atomic<int> ended = 0;
        static Async<Response> handle(std::shared_ptr<Late> self, Request* request) {
            request->parking->answer_within(std::chrono::milliseconds(100));
            if (request->path == "/body") {
                auto text = co_await read_all(*request->body, 1000);
                ++self->ended;
                co_return text ? Response::text(200, *text) : problem(text.error());
            }
            if (request->path == "/parked") {
                const auto wake = co_await request->parking->wait_past(self->mailbox, self->mailbox.version(),
                                                                       SteadyTime::max());
                ++self->ended;
                co_return Response::text(200, wake == Wake::deadline ? "in time" : "woken");
            }
            while (!self->release) co_await sleep_for(1ms); // stands for a database that does not answer
            ++self->ended;
            co_return Response::text(200, "much later");
        }
    };
    auto late = std::make_shared<Late>();
    Running running([late](Request& request) { return Late::handle(late, &request); });

    Raw body(running.server->port());
    body.say("POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
    CHECK(status_in(body.hear("}")) == 504);

    Raw parked(running.server->port());
    parked.say("GET /parked HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(parked.hear("in time").find("200 OK") != std::string::npos);
    parked.say("GET /parked HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(parked.hear("in time").find("200 OK") != std::string::npos); // each request has its own

    Raw busy(running.server->port());
    busy.say("GET /busy HTTP/1.1\r\nHost: x\r\n\r\n");
    const auto answer = busy.hear_all(); // nothing more comes on this connection
    CHECK(status_in(answer) == 504);
    CHECK(answer.find("application/problem+json") != std::string::npos);
    CHECK(answer.find("Connection: close") != std::string::npos);
    CHECK(answer.find("much later") == std::string::npos);
    CHECK(late->ended == 3);
    late->release = true;
    CHECK(eventually([&] { return late->ended == 4; }));
    CHECK(answer.find("HTTP/1.1", 1) == std::string::npos);
    busy.close();
}

TEST_CASE("100 Continue is sent when the handler reads, and only then") {
    Running reads(echo);
    Raw first(reads.server->port());
    first.say("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    CHECK(first.hear("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
    first.say("abc");
    CHECK(first.hear("abc").find("200 OK") != std::string::npos);
    Running ignores(hello);
    Raw second(ignores.server->port());
    second.say("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    const auto answer = second.hear("hello");
    CHECK(status_in(answer) == 200);
    CHECK(answer.find("Connection: close") != std::string::npos);
}

TEST_CASE("an unread body is read away if it is small, and ends the connection if not") {
    Running running(hello);
    Raw small(running.server->port());
    small.say("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + std::string(100'000, 'x'));
    CHECK(status_in(small.hear("hello")) == 200);
    CHECK(status_in(small.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n").hear("hello")) == 200);
    Raw large(running.server->port());
    large.say("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n" + std::string(100'000, 'x'));
    CHECK(status_in(large.hear("hello")) == 200);
    CHECK(large.closed());
}

TEST_CASE("chunked bodies are decoded however they are cut") {
    Running running(echo);
    const std::string wire = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                             "5\r\nhello\r\n1;name=\"v\"\r\n,\r\n00006\r\n world\r\n0\r\nTrailer: t\r\n\r\n";
    const auto step =
        GENERATE(std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}, std::size_t{1000});
    Raw raw(running.server->port());
    for (std::size_t at = 0; at < wire.size(); at += step) {
        raw.say(std::string_view(wire).substr(at, step));
        if (step < 10) std::this_thread::sleep_for(1ms);
    }
    CHECK(raw.hear("hello, world").find("200 OK") != std::string::npos);
    CHECK(status_in(raw.say("GET /next HTTP/1.1\r\nHost: x\r\n\r\n").hear("\r\n\r\n")) == 200);
}

TEST_CASE("malformed chunks reach the handler as an error") {
    Running running(echo);
    const auto body = GENERATE(as<std::string>(), "xyz\r\n", "5\r\nhelloX\r\n0\r\n\r\n", "-1\r\n",
                               "ffffffffffffffffff\r\n");
    CAPTURE(body);
    Raw raw(running.server->port());
    const auto answer =
        raw.say("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + body).hear_all();
    CHECK(status_in(answer) == 400);
}

TEST_CASE("HEAD, 204 and 304 have no body") {
    Running running(
        [](Request& request) { return request.path == "/none" ? nothing(request) : hello(request); });
    Raw raw(running.server->port());
    raw.say("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    const auto head = raw.hear("\r\n\r\n");
    CHECK(head.find("Content-Length: 5\r\n") != std::string::npos);
    raw.say("GET /none HTTP/1.1\r\nHost: x\r\n\r\n");
    const auto none = raw.hear("\r\n\r\n");
    CHECK(none.starts_with("HTTP/1.1 204"));
    CHECK(none.find("Content-Length") == std::string::npos);
}

TEST_CASE("HTTP/1.0 gets a body that ends with the connection") {
    Running running(streams);
    Raw raw(running.server->port());
    const auto answer = raw.say("GET /?size=10 HTTP/1.0\r\n\r\n").hear_all();
    CHECK(answer.find("chunked") == std::string::npos);
    CHECK(answer.size() - (answer.find("\r\n\r\n") + 4) == 10);
}

TEST_CASE("what a handler throws is a 500 that says nothing about it") {
    Running running(throws);
    Raw raw(running.server->port());
    const auto answer = raw.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n").hear("}");
    CHECK(status_in(answer) == 500);
    CHECK(answer.find("secret") == std::string::npos);
    CHECK(status_in(raw.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n").hear("}")) == 500);
}

TEST_CASE("a response cannot be split by a header's value") {
    Running running(splits);
    Raw raw(running.server->port());
    const auto bad = raw.say("GET /?v=a%250d%250aSet-Cookie:%20x HTTP/1.1\r\nHost: x\r\n\r\n").hear("}");
    CHECK(status_in(bad) == 500);
    CHECK(bad.find("Set-Cookie") == std::string::npos);
    CHECK(raw.say("GET /?v=fine HTTP/1.1\r\nHost: x\r\n\r\n").hear("\r\n\r\n").find("X-Back: fine") !=
          std::string::npos);
}

TEST_CASE("a body that fails midway is cut, not completed") {
    Running running(streams);
    const auto length = GENERATE(as<std::string>(), "", "&length=1");
    Raw raw(running.server->port());
    const auto answer =
        raw.say("GET /?size=1000000&fail=70000" + length + " HTTP/1.1\r\nHost: x\r\n\r\n").hear_all();
    CHECK(status_in(answer) == 200);
    CHECK_FALSE(answer.ends_with("0\r\n\r\n"));
    CHECK(answer.size() < 1'000'000);
}

TEST_CASE("connections beyond the limit are told to come back") {
    Running running(hello, {.max_connections = 2});
    Raw one(running.server->port()), two(running.server->port());
    CHECK(eventually([&] { return running.server->connections() == 2; }));
    Raw three(running.server->port());
    const auto answer = three.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n").hear("\r\n\r\n");
    CHECK(status_in(answer) == 503);
    CHECK(answer.find("Retry-After: ") != std::string::npos);
    CHECK(status_in(one.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n").hear("hello")) == 200);
    one.close();
    CHECK(eventually([&] { return running.server->connections() == 1; }));
    Raw four(running.server->port());
    CHECK(status_in(four.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n").hear("hello")) == 200);
}

TEST_CASE("a taken port is a conflict, also for many threads of the same user") {
    const auto threads = GENERATE(std::size_t{1}, std::size_t{3});
    Running running(hello, {.threads = threads});
    const auto again = Server::bind({.port = running.server->port(), .threads = threads}, hello);
    REQUIRE_FALSE(again);
    CHECK(again.error().code == Code::conflict);
    CHECK(again.error().message ==
          "port " + std::to_string(running.server->port()) + " on 127.0.0.1 is in use");
    CHECK(again.error().hint.find("--listen") != std::string::npos);
}

TEST_CASE("bad options are refused") {
    CHECK(Server::bind({.address = "nowhere"}, hello).error().code == Code::invalid_argument);
    CHECK(Server::bind({.address = "203.0.113.1"}, hello).error().code == Code::invalid_argument);
    CHECK(Server::bind({.tls_certificate_file = "x"}, hello).error().code == Code::invalid_argument);
    CHECK(Server::bind({.tls_certificate_file = "/none", .tls_key_file = "/none"}, hello)
              .error()
              .message.find("/none") != std::string::npos);
}

TEST_CASE("many threads serve one port") {
    Running running(hello, {.threads = 3});
    for (int i = 0; i < 40; ++i) {
        Raw raw(running.server->port());
        CHECK(status_in(raw.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n").hear("hello")) == 200);
    }
}

TEST_CASE("a server that was never started goes away quietly") { CHECK(Server::bind({.threads = 2}, hello)); }
