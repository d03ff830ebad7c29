#include "consign/net/sse.hpp"
#include "unit/net/support.hpp"
#include <charconv>

using namespace consign;
using namespace consign::net;
using namespace consign::net::test;

namespace {
std::string event(std::string_view id, std::string_view type, std::string_view data) {
    std::string out;
    append_event(out, id, type, data);
    return out;
}

/// What a reader dispatches for `stream`: the algorithm of WHATWG HTML section 9.2.6, as "id|type|data".
std::vector<std::string> read_events(std::string_view stream) {
    std::vector<std::string> events;
    std::string id, type, data;
    while (!stream.empty()) {
        const auto end = stream.find_first_of("\r\n");
        if (end == std::string_view::npos) break; // an unfinished line is not read
        const auto line = stream.substr(0, end);
        stream.remove_prefix(end + (stream.substr(end).starts_with("\r\n") ? 2 : 1));
        if (line.empty()) {
            if (!data.empty()) {
                data.pop_back();
                events.push_back(id + "|" + (type.empty() ? "message" : type) + "|" + data);
            }
            type.clear();
            data.clear();
            continue;
        }
        const auto colon = std::min(line.find(':'), line.size());
        auto value = line.substr(std::min(colon + 1, line.size()));
        if (value.starts_with(' ')) value.remove_prefix(1);
        if (line.substr(0, colon) == "id") id = value;
        if (line.substr(0, colon) == "event") type = value;
        if (line.substr(0, colon) == "data") data.append(value).append("\n");
    }
    return events;
}

/// Numbers from `next` on, one event each; `end` is the last.
struct Numbers final : EventFeed {
    std::shared_ptr<Mailbox> news = std::make_shared<Mailbox>();
    std::atomic<int> available = 0, asked = 0;
    int next_number = 1, end = 1'000'000;
    std::size_t padding = 0;
    Async<Result<bool>> next(std::string& out) override {
        ++asked;
        for (int i = 0; i < 10 && next_number <= available; ++i, ++next_number)
            append_event(out, std::to_string(next_number), "",
                         std::to_string(next_number) + std::string(padding, '.'));
        co_return next_number <= end;
    }
    Mailbox& mailbox() override { return *news; }
    void grow(int to) {
        available = to;
        news->notify();
    }
};

Async<Response> stream(Request* request, std::shared_ptr<EventFeed> feed,
                       std::chrono::milliseconds heartbeat) {
    co_return event_stream(*request, std::move(feed), heartbeat);
}
Handler streamer(std::shared_ptr<EventFeed> feed, std::chrono::milliseconds heartbeat = 1h) {
    return [feed, heartbeat](Request& request) { return stream(&request, feed, heartbeat); };
}
constexpr std::string_view kAsk = "GET / HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n";
} // namespace

TEST_CASE("an event is framed so that its data comes out as it went in", "[sse]") {
    struct Row {
        std::string data, want;
        std::string why;
    };
    const auto row = GENERATE(values<Row>({
        {"hello", "hello", "one line"},
        {"a\nb", "a\nb", "two lines"},
        {"a\nb\n", "a\nb\n", "a line end at the end is kept"},
        {"\n\n", "\n\n", "only line ends: they must not end the event"},
        {"a\r\nb\rc", "a\nb\nc", "CR LF and CR are line ends"},
        {" a", " a", "the space after the colon is ours, not the data's"},
        {": a\ndata: b\nid: 9", ": a\ndata: b\nid: 9", "data that looks like fields"},
        {"", "", "no data is an event, too"},
        {"\xc3\xa4\xf0\x9f\x98\x80", "\xc3\xa4\xf0\x9f\x98\x80", "UTF-8"},
    }));
    CAPTURE(row.why);
    CHECK(read_events(event("7", "log", row.data)) == std::vector<std::string>{"7|log|" + row.want});
}

TEST_CASE("an id or a type cannot break out of its line", "[sse]") {
    CHECK(read_events(event("1\ndata: x", "t\r\n\nid: 3", "real")) ==
          std::vector<std::string>{"1data: x|tid: 3|real"});
    CHECK(event("", "", "x") == "data: x\n\n");
}

TEST_CASE("a heartbeat dispatches nothing", "[sse]") {
    std::string out;
    append_heartbeat(out);
    append_event(out, "1", "", "x");
    CHECK(read_events(out) == std::vector<std::string>{"1|message|x"});
}

TEST_CASE("only who asks for a stream gets one", "[sse]") {
    struct Row {
        std::string accept;
        bool want;
    };
    const auto row = GENERATE(values<Row>({{"text/event-stream", true},
                                           {"Text/Event-Stream", true},
                                           {"application/json, text/event-stream;q=0.5", true},
                                           {"text/event-stream; charset=utf-8", true},
                                           {"text/event-stream;q=0", false},
                                           {"text/event-stream ; q=0.000", false},
                                           {"*/*", false},
                                           {"text/*", false},
                                           {"text/event-streams", false},
                                           {"application/json", false},
                                           {"", false}}));
    CAPTURE(row.accept);
    Headers headers;
    headers.set("Accept", row.accept);
    CHECK(wants_event_stream(headers) == row.want);
    CHECK_FALSE(wants_event_stream(Headers{}));
}

TEST_CASE("Last-Event-ID says where to go on", "[sse]") {
    Headers headers;
    CHECK(*resume_from(headers, 5) == 5);
    headers.set("last-event-id", "42");
    CHECK(*resume_from(headers, 5) == 42);
    headers.set("Last-Event-ID", "");
    CHECK(*resume_from(headers, 5) == 5);
    const auto bad = GENERATE(as<std::string>(), "x", "-1", "1.5", "1 ", "99999999999999999999");
    headers.set("Last-Event-ID", bad);
    CAPTURE(bad);
    REQUIRE_FALSE(resume_from(headers, 5));
    CHECK(resume_from(headers, 5).error().code == Code::invalid_argument);
}

TEST_CASE("text is cut between characters and not between CR and LF", "[sse]") {
    struct Row {
        std::string bytes;
        std::size_t want;
    };
    const auto row = GENERATE(values<Row>({{"abc", 3},
                                           {"ab\r", 2},
                                           {"\r", 0},
                                           {"a\xc3", 1},
                                           {"a\xc3\xa4", 3},
                                           {"a\xe2\x82", 1},
                                           {"a\xf0\x9f\x98", 1},
                                           {"a\xf0\x9f\x98\x80", 5},
                                           {"\xf0\x9f", 0},
                                           {"a\x80\x80\x80\x80", 5}, // no UTF-8 at all
                                           {"a\xff", 2},
                                           {"", 0}}));
    CAPTURE(row.bytes);
    CHECK(whole_text(row.bytes) == row.want);
}

TEST_CASE("a stream sends what there is, waits for more, and ends with its feed", "[sse]") {
    auto feed = std::make_shared<Numbers>();
    feed->available = 25;
    feed->end = 40;
    Running running(streamer(feed));
    Raw raw(running.server->port());
    const auto begin = raw.say(kAsk).hear("data: 25\n\n");
    CHECK(begin.find("Content-Type: text/event-stream\r\n") != std::string::npos);
    CHECK(begin.find("\r\nretry: 3000\n\n") != std::string::npos);
    CHECK(begin.find("id: 1\ndata: 1\n\n") != std::string::npos);
    REQUIRE(eventually([&] { return feed->news->waiters() == 1; }));
    feed->grow(26);
    CHECK(raw.hear("data: 26\n\n").find("id: 26\n") != std::string::npos);
    feed->grow(40);
    CHECK(raw.hear("0\r\n\r\n").find("data: 40\n\n") != std::string::npos);
    // The last chunk was sent: the connection can be used again.
    raw.say("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(raw.hear_all().starts_with("HTTP/1.1 200"));
}

TEST_CASE("a quiet stream is kept alive by comments", "[sse]") {
    auto feed = std::make_shared<Numbers>();
    Running running(streamer(feed, 20ms));
    Raw raw(running.server->port());
    raw.say(kAsk).hear("retry");
    CHECK(raw.hear(":\n\n").ends_with(":\n\n"));
    raw.hear(":\n\n");
    feed->grow(1);
    CHECK(raw.hear("data: 1\n\n").ends_with("data: 1\n\n"));
}

TEST_CASE("a stream ends when its reader hangs up, and when the server drains", "[sse]") {
    auto feed = std::make_shared<Numbers>();
    Running running(streamer(feed), {.threads = 2});
    Raw leaves(running.server->port());
    leaves.say(kAsk).hear("retry");
    REQUIRE(eventually([&] { return feed->news->waiters() == 1; }));
    leaves.close();
    CHECK(eventually([&] { return running.server->connections() == 0; }));

    Raw stays(running.server->port());
    stays.say(kAsk).hear("retry");
    REQUIRE(eventually([&] { return feed->news->waiters() == 1; }));
    running.server->drain(20s);
    CHECK(stays.hear_all().ends_with("0\r\n\r\n")); // in order, not cut
}

TEST_CASE("a reader that does not read holds its feed back", "[sse]") {
    auto feed = std::make_shared<Numbers>();
    feed->padding = 4000;
    feed->available = 100'000; // 400 MB, if nobody stopped it
    Running running(streamer(feed));
    Raw raw(running.server->port());
    raw.say(kAsk);
    // It goes on until the kernel's buffers are full, and then asks for nothing.
    int before = -1;
    REQUIRE(eventually([&] {
        std::this_thread::sleep_for(50ms);
        return std::exchange(before, feed->asked.load()) == feed->asked && feed->asked > 0;
    }));
    CHECK(feed->asked < 5000);
    raw.hear("id: 500\n");
    running.server->drain(0ms);
}

TEST_CASE("a stream that never waits still ends when the server drains", "[sse]") {
    auto feed = std::make_shared<Numbers>();
    feed->available = feed->end = 2'000'000'000;
    Running running(streamer(feed));
    Raw raw(running.server->port());
    raw.say(kAsk).hear("data: 1\n");
    std::thread drain([&] { running.server->drain(20s); });
    const auto rest = raw.hear_all();
    CHECK(rest.ends_with("0\r\n\r\n"));
    drain.join();
}
