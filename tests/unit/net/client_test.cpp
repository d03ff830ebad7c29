#include "consign/net/client.hpp"
#include "unit/net/support.hpp"
#include <fcntl.h>

using namespace consign;
using namespace consign::net;
using namespace consign::net::test;

namespace {
struct Answer {
    int status = 0;
    std::string text;
    std::string url;
};
Async<Result<Answer>> get(std::shared_ptr<Client> client, ClientRequest request) {
    CONSIGN_CO_TRY(response, co_await client->send(std::move(request)));
    CONSIGN_CO_TRY(text, co_await read_all(*response.body, 64u << 20));
    co_return Answer{response.status, text, response.url.str()};
}
Async<Result<std::uint64_t>> get_pattern(std::shared_ptr<Client> client, ClientRequest request) {
    CONSIGN_CO_TRY(response, co_await client->send(std::move(request)));
    co_return co_await check_pattern(*response.body);
}
Async<Response> pattern_in_and_out(Request& request) {
    if (request.verb == Verb::get) {
        const auto size = std::stoull(request.query.get_or("size", "0"));
        std::optional<std::uint64_t> length;
        if (request.query.get("length")) length = size;
        co_return Response{.body = StreamBody{std::make_shared<PatternSource>(size), length}};
    }
    const auto counted = co_await check_pattern(*request.body);
    if (!counted) co_return problem(counted.error());
    co_return Response::text(200, std::to_string(*counted));
}
Async<Response> port_of_peer(Request& request) {
    co_return Response::text(200, request.headers.get("Authorization").empty() ? "anonymous" : "authorized");
}
std::shared_ptr<Client> make_client(IoThread& io, ClientOptions options = {}) {
    return std::make_shared<Client>(io.executor(), std::move(options));
}
} // namespace

TEST_CASE("bodies go both ways, plain and with TLS, of known and unknown length") {
    const bool tls = GENERATE(false, true);
    const auto certificate = Certificate::make();
    ServerOptions options;
    if (tls) options.tls_certificate_file = certificate.cert, options.tls_key_file = certificate.key;
    Running running(pattern_in_and_out, options);
    IoThread io;
    auto client = make_client(io, {.ca_file = certificate.cert});
    const std::string scheme = tls ? "https" : "http";
    constexpr std::uint64_t kSize = 5'000'003;
    CHECK(io.run(get_pattern(client, {.url = running.url("/?size=5000003", scheme)})) == kSize);
    CHECK(io.run(get_pattern(client, {.url = running.url("/?length=1&size=5000003", scheme)})) == kSize);
    CHECK(io.run(get_pattern(client, {.url = running.url("/?size=0", scheme)})) == 0);
    for (const auto& length : {std::optional<std::uint64_t>(), std::optional<std::uint64_t>(kSize)}) {
        ClientRequest request{.verb = Verb::put,
                              .url = running.url("/", scheme),
                              .body = StreamBody{std::make_shared<PatternSource>(kSize), length}};
        CHECK(io.run(get(client, std::move(request)))->text == "5000003");
    }
    CHECK(running.server->connections() == 1); // one connection carried them all
}

// Memory is bounded when the producer waits for the consumer: what lies between them is the sockets' buffers.
TEST_CASE("a source is not read ahead of its reader") {
    constexpr std::uint64_t kSize = 1u << 30, kBuffered = 64u << 20;
    auto source = std::make_shared<PatternSource>(kSize);
    struct Streams {
        static Async<Response> handle(std::shared_ptr<PatternSource> source) {
            co_return Response{.body = StreamBody{source, std::nullopt}};
        }
        static Async<Result<std::uint64_t>> read_slowly(std::shared_ptr<Client> client, Url url,
                                                        std::shared_ptr<PatternSource> source) {
            CONSIGN_CO_TRY(response, co_await client->send({.url = std::move(url)}));
            std::vector<std::byte> buffer(1000);
            CONSIGN_CO_TRY(got, co_await response.body->read(buffer));
            co_await sleep_for(300ms);
            co_return got == 0 ? kSize : source->at.load();
        }
    };
    Running running([source](Request&) { return Streams::handle(source); });
    IoThread io;
    auto client = make_client(io);
    const auto produced = io.run(Streams::read_slowly(client, running.url("/"), source));
    REQUIRE(produced);
    CHECK(*produced < kBuffered);
}

TEST_CASE("a range of a file is sent, plain and with TLS") {
    const bool tls = GENERATE(false, true);
    const auto certificate = Certificate::make();
    const auto path = certificate.directory.path() / "blob";
    std::string content;
    for (std::uint64_t i = 0; i < 3'000'000; ++i) content += static_cast<char>(PatternSource::byte_at(i));
    REQUIRE(write_file_atomic(path, std::string_view(content)));
    auto opened = open_file(path, O_RDONLY);
    REQUIRE(opened);
    auto file = std::make_shared<const Fd>(std::move(*opened));
    ServerOptions options;
    if (tls) options.tls_certificate_file = certificate.cert, options.tls_key_file = certificate.key;
    struct Files {
        static Async<Response> serve(std::shared_ptr<const Fd> file, Request* request) {
            const auto offset = std::stoull(request->query.get_or("offset", "0"));
            const auto size = std::stoull(request->query.get_or("size", "0"));
            co_return Response{.body = FileBody{file, offset, size}};
        }
        static Async<Response> take(Request* request) {
            auto text = co_await read_all(*request->body, 64u << 20);
            co_return Response::text(200, text ? std::move(*text) : "");
        }
    };
    Running running(
        [file](Request& request) {
            return request.verb == Verb::get ? Files::serve(file, &request) : Files::take(&request);
        },
        options);
    IoThread io;
    auto client = make_client(io, {.ca_file = certificate.cert});
    const std::string scheme = tls ? "https" : "http";
    CHECK(io.run(get(client, {.url = running.url("/?size=3000000", scheme)}))->text == content);
    CHECK(io.run(get(client, {.url = running.url("/?offset=1000&size=70000", scheme)}))->text ==
          content.substr(1000, 70'000));
    CHECK(io.run(get(client, {.url = running.url("/", scheme)}))->text.empty());
    // A file shorter than it was said to be: the response is cut, and the client sees it.
    CHECK(io.run(get(client, {.url = running.url("/?offset=2999990&size=20", scheme)})).error().code ==
          Code::unavailable);
    const auto sent = io.run(get(
        client, {.verb = Verb::put, .url = running.url("/", scheme), .body = FileBody{file, 5, 2'000'000}}));
    CHECK(sent->text == content.substr(5, 2'000'000));
}

TEST_CASE("HEAD tells the length and carries nothing") {
    Running running(hello);
    IoThread io;
    auto client = make_client(io);
    for (int i = 0; i < 2; ++i) {
        const auto response = io.run(client->send({.verb = Verb::head, .url = running.url("/")}));
        REQUIRE(response);
        CHECK(response->content_length == 5);
        CHECK(io.run(read_all(*response->body, 10)) == "");
    }
    CHECK(running.server->connections() == 1);
}

TEST_CASE("what cannot be connected to is named") {
    IoThread io;
    auto client = make_client(io);
    std::uint16_t port = 0;
    {
        port = (*Server::bind({}, hello))->port();
    }
    const auto refused = io.run(client->send({.url = {"http", "127.0.0.1", port, "/"}}));
    CHECK(refused.error().code == Code::unavailable);
    CHECK(refused.error().message.find("cannot connect to 127.0.0.1:" + std::to_string(port) +
                                       ": Connection refused") != std::string::npos);
    CHECK(refused.error().hint == "check that the server runs and the URL is right");
    const auto unknown = io.run(client->send({.url = {"http", "name.invalid", 80, "/"}}));
    CHECK_FALSE(unknown);
    CHECK(unknown.error().message.find("name.invalid:80") != std::string::npos);
    CHECK(io.run(client->send({.url = {"http", "127.0.0.1", port, "/a b\r\nX: y"}})).error().code ==
          Code::invalid_argument);
    Headers split;
    split.set("X", "a\r\nY: b");
    CHECK(io.run(client->send({.url = {"http", "127.0.0.1", port, "/"}, .headers = split})).error().code ==
          Code::invalid_argument);
}

TEST_CASE("a certificate is checked: who signed it, for whom, until when") {
    const auto good = Certificate::make(), other = Certificate::make("other.test"),
               expired = Certificate::make("localhost", -3600);
    struct Row {
        const Certificate *shown, *trusted;
        std::string host, want;
    };
    Row row;
    SECTION("good, by name and by address") {
        Running running(hello, {.tls_certificate_file = good.cert, .tls_key_file = good.key});
        IoThread io;
        auto client = make_client(io, {.ca_file = good.cert});
        CHECK(io.run(client->fetch_text({.url = running.url("/", "https", "localhost")})) == "hello");
        CHECK(io.run(client->fetch_text({.url = running.url("/", "https")})) == "hello");
        auto careless = make_client(io, {.insecure_skip_verify = true});
        CHECK(io.run(careless->fetch_text({.url = running.url("/", "https")})) == "hello");
        return;
    }
    SECTION("unknown signer") { row = {&good, &other, "localhost", "self-signed certificate"}; }
    SECTION("expired") { row = {&expired, &expired, "localhost", "certificate has expired"}; }
    SECTION("wrong host") { row = {&other, &other, "localhost", "hostname mismatch"}; }
    Running running(hello, {.tls_certificate_file = row.shown->cert, .tls_key_file = row.shown->key});
    IoThread io;
    auto client = make_client(io, {.ca_file = row.trusted->cert});
    const auto result = io.run(client->fetch_text({.url = running.url("/", "https", row.host)}));
    REQUIRE_FALSE(result);
    CAPTURE(result.error().message);
    CHECK(result.error().code == Code::unavailable);
    CHECK(result.error().message.find(row.want) != std::string::npos);
    CHECK_FALSE(result.error().hint.empty());
}

TEST_CASE("TLS spoken to a plain port, and the reverse, end with an error") {
    const auto certificate = Certificate::make();
    Running plain(hello),
        secure(hello, {.tls_certificate_file = certificate.cert, .tls_key_file = certificate.key});
    IoThread io;
    auto client = make_client(io, {.ca_file = certificate.cert, .connect_deadline = 2s});
    CHECK_FALSE(io.run(client->fetch_text({.url = plain.url("/", "https")})));
    CHECK_FALSE(io.run(client->fetch_text({.url = secure.url("/")})));
}

TEST_CASE("a redirect drops credentials when the origin changes, and only then") {
    Running target(port_of_peer);
    const auto elsewhere = target.url("/end").str();
    struct Redirect {
        static Async<Response> handle(std::string to, Request* request) {
            if (request->path == "/end") co_return co_await port_of_peer(*request);
            auto response = Response::text(302, "elsewhere");
            response.headers.set("Location", request->path == "/away"   ? to
                                             : request->path == "/loop" ? "/loop"
                                                                        : "end");
            co_return response;
        }
    };
    Running first([elsewhere](Request& request) { return Redirect::handle(elsewhere, &request); });
    IoThread io;
    auto client = make_client(io);
    Headers headers;
    headers.set("Authorization", "Bearer x");
    const auto away = io.run(get(client, {.url = first.url("/away"), .headers = headers}));
    CHECK(away->text == "anonymous");
    CHECK(away->url == elsewhere);
    CHECK(io.run(get(client, {.url = first.url("/near"), .headers = headers}))->text == "authorized");
    CHECK(io.run(get(client, {.url = first.url("/loop"), .headers = headers}))->status == 302);
    CHECK(io.run(get(client, {.url = first.url("/near"), .max_redirects = 0}))->status == 302);
}

TEST_CASE("303 turns into GET, 307 repeats the body, a stream is not repeated") {
    struct Redirect {
        static Async<Response> handle(Request* request) {
            if (request->path == "/end") {
                auto text = co_await read_all(*request->body, 1000);
                co_return Response::text(200, std::string(name_of(request->verb)) + ":" + text.value_or("?"));
            }
            auto response = Response::empty(request->path == "/303" ? 303 : 307);
            response.headers.set("Location", "/end");
            co_return response;
        }
    };
    Running running([](Request& request) { return Redirect::handle(&request); });
    IoThread io;
    auto client = make_client(io);
    CHECK(io.run(get(client, {.verb = Verb::post, .url = running.url("/303"), .body = "abc"}))->text ==
          "GET:");
    CHECK(io.run(get(client, {.verb = Verb::post, .url = running.url("/307"), .body = "abc"}))->text ==
          "POST:abc");
    ClientRequest stream{.verb = Verb::post,
                         .url = running.url("/307"),
                         .body = StreamBody{std::make_shared<PatternSource>(3), 3}};
    CHECK(io.run(get(client, std::move(stream)))->status == 307);
}

TEST_CASE("a request that dies on a reused connection is tried once more") {
    constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    std::atomic<int> heads = 0;
    FakeServer fake(2, [&](int fd, int connection) {
        FakeServer::read_head(fd);
        ++heads;
        FakeServer::say(fd, kAnswer);
        if (connection == 0) FakeServer::read_head(fd), ++heads; // takes the second request, and dies on it
    });
    IoThread io;
    auto client = make_client(io);
    const Url url{"http", "127.0.0.1", fake.port, "/"};
    CHECK(io.run(get(client, {.url = url}))->text == "ok");
    CHECK(io.run(get(client, {.verb = Verb::post, .url = url, .body = "x"}))->text == "ok");
    CHECK(heads == 3);
}

TEST_CASE("a request that dies on a fresh connection is not repeated") {
    FakeServer fake(1, [](int fd, int) { FakeServer::read_head(fd); });
    IoThread io;
    auto client = make_client(io);
    const auto result = io.run(get(client, {.url = {"http", "127.0.0.1", fake.port, "/x"}}));
    CHECK(result.error().code == Code::unavailable);
    CHECK(result.error().message.find("/x") != std::string::npos);
}

TEST_CASE("a pooled connection that the server closed is not used") {
    FakeServer fake(2, [](int fd, int) {
        FakeServer::read_head(fd);
        FakeServer::say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    IoThread io;
    auto client = make_client(io);
    const Url url{"http", "127.0.0.1", fake.port, "/"};
    CHECK(io.run(get(client, {.url = url}))->text == "ok");
    std::this_thread::sleep_for(100ms);
    ClientRequest once{
        .verb = Verb::put, .url = url, .body = StreamBody{std::make_shared<PatternSource>(0), 0}};
    CHECK(io.run(get(client, std::move(once)))->text == "ok"); // a stream could not have been sent again
}

TEST_CASE("answers of other servers are read, or refused") {
    struct Row {
        std::string wire;
        std::string want; ///< "!" for an error
        std::string why;
    };
    const auto row = GENERATE(values<Row>({
        {"HTTP/1.1 200 OK\r\n\r\nuntil the end", "until the end", "ended by close"},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
         "2\r\n\r\nok",
         "ok", "informational first"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok", "chunked"},
        {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", "HTTP/1.0"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", "!", "cut short"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok", "!", "cut short, chunked"},
        {"SSH-2.0-OpenSSH\r\n\r\n", "!", "not HTTP"},
        {"HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n", "!", "an endless head"},
        {"", "!", "nothing"},
    }));
    CAPTURE(row.why);
    FakeServer fake(1, [&](int fd, int) {
        FakeServer::read_head(fd);
        FakeServer::say(fd, row.wire);
    });
    IoThread io;
    auto client = make_client(io);
    const auto answer = io.run(get(client, {.url = {"http", "127.0.0.1", fake.port, "/"}}));
    CHECK((answer ? answer->text : "!") == row.want);
}

TEST_CASE("deadlines: for the answer's head, and for a body that stalls") {
    FakeServer fake(2, [](int fd, int connection) {
        FakeServer::read_head(fd);
        if (connection == 1) FakeServer::say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok");
        char c;
        while (::recv(fd, &c, 1, 0) > 0) {
        }
    });
    IoThread io;
    auto client = make_client(io, {.io_deadline = 100ms});
    const Url url{"http", "127.0.0.1", fake.port, "/"};
    CHECK(io.run(get(client, {.url = url, .response_deadline = 100ms})).error().code == Code::timed_out);
    CHECK(io.run(get(client, {.url = url})).error().code == Code::timed_out);
}

TEST_CASE("a cancelled request ends at once and closes its connection") {
    std::atomic<bool> asked = false, closed = false;
    FakeServer fake(1, [&](int fd, int) {
        FakeServer::read_head(fd);
        asked = true;
        char c;
        closed = ::recv(fd, &c, 1, 0) == 0;
    });
    IoThread io;
    auto client = make_client(io);
    std::stop_source stop;
    std::thread asker([&] {
        eventually([&] { return asked.load(); });
        stop.request_stop();
    });
    CHECK(
        io.run(get(client, {.url = {"http", "127.0.0.1", fake.port, "/"}}), stop.get_token()).error().code ==
        Code::cancelled);
    asker.join();
    CHECK(eventually([&] { return closed.load(); }));
}

TEST_CASE("a body left unread closes its connection") {
    Running running(pattern_in_and_out);
    IoThread io;
    auto client = make_client(io);
    {
        const auto response = io.run(client->send({.url = running.url("/?size=50000000")}));
        REQUIRE(response);
        CHECK(running.server->connections() == 1);
    }
    CHECK(eventually([&] { return running.server->connections() == 0; }));
}

TEST_CASE("an answer that comes before the body is sent is still read") {
    struct Refuses {
        static Async<Response> handle() { co_return problem({Code::too_large, "too large for us"}); }
    };
    Running running([](Request&) { return Refuses::handle(); });
    IoThread io;
    auto client = make_client(io);
    ClientRequest request{.verb = Verb::put,
                          .url = running.url("/"),
                          .body = StreamBody{std::make_shared<PatternSource>(100'000'000), 100'000'000}};
    const auto result = io.run(client->fetch_text(std::move(request)));
    REQUIRE_FALSE(result);
    CHECK(result.error().message == "too large for us");
    CHECK(result.error().code == Code::too_large);
}

TEST_CASE("a failing source of a request's body is the error") {
    Running running(pattern_in_and_out);
    IoThread io;
    auto client = make_client(io);
    ClientRequest request{.verb = Verb::put,
                          .url = running.url("/"),
                          .body =
                              StreamBody{std::make_shared<PatternSource>(1'000'000, 70'000), std::nullopt}};
    CHECK(io.run(get(client, std::move(request))).error().code == Code::corrupt);
}

TEST_CASE("fetch_text turns problems into the errors they describe") {
    struct Fails {
        static Async<Response> handle() { co_return problem({Code::lease_lost, "stale epoch 3", "stop"}); }
    };
    Running running([](Request&) { return Fails::handle(); });
    IoThread io;
    auto client = make_client(io);
    const auto result = io.run(client->fetch_text({.url = running.url("/")}));
    CHECK(result.error().code == Code::lease_lost);
    CHECK(result.error().message == "stale epoch 3");
    CHECK(result.error().hint == "stop");
    Running big(pattern_in_and_out);
    CHECK(io.run(client->fetch_text({.url = big.url("/?size=1000")}, 999)).error().code == Code::too_large);
    CHECK(io.run(client->fetch_text({.url = big.url("/?size=1000")}, 1000))->size() == 1000);
}
