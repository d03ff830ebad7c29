#include "consign/net/client.hpp"
#include "consign/net/server.hpp"
#include "net/client_connect.hpp"
#include "net/wire.hpp"
#include <algorithm>
#include <boost/asio/dispatch.hpp>

namespace consign::net {

namespace {
using Clock = std::chrono::steady_clock;
constexpr std::size_t kHeadLimit = 64 * 1024;
constexpr std::size_t kScratch = 64 * 1024;
// A server may refuse a body before it has all of it, and hang up: its answer is there or it never comes.
constexpr auto kEarlyAnswerWithin = std::chrono::seconds(1);
// The body of a redirect is read away so that its connection can be used again, up to here.
constexpr std::size_t kRedirectBody = 16 * 1024;

bool is_redirect(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool can_resend(const Body& body) { return !std::holds_alternative<StreamBody>(body); }

// A Url can be put together by hand; what we write into a head must not end its line.
Result<void> check_url(const Url& url) {
    const auto plain = [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; };
    if (url.target.starts_with('/') && !url.host.empty() && std::ranges::all_of(url.target, plain) &&
        std::ranges::all_of(url.host, plain))
        return {};
    return fail(Code::invalid_argument, "the URL's host or path has characters that must be percent-encoded");
}

std::string head_of(const ClientRequest& request, const BodyPlan& plan, const std::string& user_agent) {
    std::string head(name_of(request.verb));
    head += " " + request.url.target + " HTTP/1.1\r\n";
    if (!request.headers.has("Host")) head += "Host: " + request.url.host_header() + "\r\n";
    if (!request.headers.has("User-Agent")) head += "User-Agent: " + user_agent + "\r\n";
    append_headers(head, request.headers);
    append_framing(head, plan);
    head += "\r\n";
    return head;
}

// A request without a body says nothing about one, except where its absence would look like an omission.
BodyPlan request_plan(const ClientRequest& request) {
    BodyPlan plan = plan_of(request.body);
    const bool usual = request.verb == Verb::post || request.verb == Verb::put || request.verb == Verb::patch;
    if (plan.framing == Framing::length && plan.length == 0 && !usual) plan.framing = Framing::none;
    return plan;
}
} // namespace

struct Client::Impl : std::enable_shared_from_this<Impl> {
    Impl(Executor on, ClientOptions with)
        : executor(on), options(std::move(with)), pool(on, options.idle_per_origin, options.idle_for) {}

    Executor executor;
    ClientOptions options;
    TlsContext tls;
    Scratch scratch{kScratch};
    ClientPool pool;

    Async<Result<std::unique_ptr<ClientConnection>>> connect(const Url& url);
    Async<Result<ClientResponse>> exchange(ClientRequest& request);
    Async<Result<MessageHead>> attempt(ClientRequest& request, ClientConnection& connection, bool& answered);
    Async<Result<MessageHead>> read_head(ClientConnection& connection, SteadyTime deadline, bool& answered);
    ClientResponse respond(const ClientRequest& request, MessageHead head,
                           std::unique_ptr<ClientConnection> connection);

    class ResponseBody;
};

/// Gives the connection back at the end of the body, and closes it when that never comes.
class Client::Impl::ResponseBody final : public Source {
  public:
    ResponseBody(std::shared_ptr<Impl> impl, std::unique_ptr<ClientConnection> connection, bool reusable)
        : impl_(std::move(impl)), connection_(std::move(connection)), reusable_(reusable) {
        release_if_done();
    }
    // A response may be let go on any thread, its socket only on its own.
    ~ResponseBody() override {
        if (connection_)
            asio::dispatch(impl_->executor, [impl = impl_, connection = std::move(connection_)]() mutable {
                connection.reset();
            });
    }

    Async<Result<std::size_t>> read(std::span<std::byte> into) override {
        if (failure_) co_return std::unexpected(*failure_);
        if (!connection_) co_return std::size_t{0};
        auto got = co_await connection_->incoming.read_body(into, Clock::now() + impl_->options.io_deadline);
        if (!got) {
            failure_ = got.error();
            connection_.reset();
        } else {
            release_if_done();
        }
        co_return got;
    }

  private:
    void release_if_done() {
        if (!connection_->incoming.body_done()) return;
        // Bytes behind the answer were never asked for: such a connection cannot be trusted with a request.
        if (reusable_ && !connection_->incoming.has_bytes()) impl_->pool.put(std::move(connection_));
        connection_.reset();
    }
    std::shared_ptr<Impl> impl_;
    std::unique_ptr<ClientConnection> connection_;
    bool reusable_;
    std::optional<Error> failure_;
};

Async<Result<std::unique_ptr<ClientConnection>>> Client::Impl::connect(const Url& url) {
    if (url.tls() && !tls) {
        CONSIGN_CO_TRY(context, make_client_tls(options.ca_file, !options.insecure_skip_verify));
        tls = std::move(context);
    }
    co_return co_await connect_to(executor, url, url.tls() ? tls.get() : nullptr,
                                  !options.insecure_skip_verify, scratch.all(),
                                  Clock::now() + options.connect_deadline);
}

Async<Result<MessageHead>> Client::Impl::read_head(ClientConnection& connection, SteadyTime deadline,
                                                   bool& answered) {
    for (;;) {
        auto text = co_await connection.incoming.read_head(kHeadLimit, deadline);
        answered = text ? !text->empty() : connection.incoming.has_bytes();
        if (!text && text.error().code == Code::invalid_argument)
            co_return fail(Code::unavailable, "the server's answer is not HTTP: " + text.error().message,
                           "check whether its URL begins with http:// or https://");
        if (!text) co_return std::unexpected(std::move(text).error());
        if (text->empty())
            co_return fail(Code::unavailable, "the server closed the connection without an answer");
        auto head = parse_response_head(*text);
        if (!head)
            co_return fail(Code::unavailable, "the server's answer is not HTTP: " + head.error().message);
        if (head->status >= 200) co_return head; // 100 and 103 only announce
    }
}

Async<Result<MessageHead>> Client::Impl::attempt(ClientRequest& request, ClientConnection& connection,
                                                 bool& answered) {
    const BodyPlan plan = request_plan(request);
    const auto sent = co_await send_message(connection.stream, head_of(request, plan, options.user_agent),
                                            request.body, plan, options.io_deadline);
    if (sent) co_return co_await read_head(connection, Clock::now() + request.response_deadline, answered);
    if (sent.error().code == Code::unavailable) {
        auto early = co_await read_head(connection, Clock::now() + kEarlyAnswerWithin, answered);
        if (early) {
            early->keep_alive = false;
            co_return early;
        }
    }
    co_return std::unexpected(sent.error());
}

Async<Result<ClientResponse>> Client::Impl::exchange(ClientRequest& request) {
    CONSIGN_CO_CHECK(check_url(request.url));
    CONSIGN_CO_CHECK(check_headers(request.headers));
    for (auto connection = pool.take(request.url.origin());;) {
        const bool reused = connection != nullptr;
        if (!connection) {
            CONSIGN_CO_TRY(fresh, co_await connect(request.url));
            connection = std::move(fresh);
        }
        bool answered = false;
        auto head = co_await attempt(request, *connection, answered);
        if (head) co_return respond(request, std::move(*head), std::move(connection));
        connection.reset();
        // The server may have closed an idle connection just as we wrote to it.
        if (reused && !answered && head.error().code == Code::unavailable && can_resend(request.body))
            continue;
        if (head.error().code == Code::cancelled) co_return std::unexpected(head.error());
        co_return std::unexpected(with_context(std::move(head).error(),
                                               std::string(name_of(request.verb)) + " " + request.url.str()));
    }
}

ClientResponse Client::Impl::respond(const ClientRequest& request, MessageHead head,
                                     std::unique_ptr<ClientConnection> connection) {
    using Kind = Incoming::Kind;
    Kind kind = head.chunked ? Kind::chunked : head.content_length ? Kind::length : Kind::until_close;
    if (request.verb == Verb::head || head.status == 204 || head.status == 304) kind = Kind::none;
    const bool reusable = head.keep_alive && kind != Kind::until_close;
    connection->incoming.begin_body(kind, head.content_length.value_or(0), std::move(head.decoder));
    return {.status = head.status,
            .headers = std::move(head.headers),
            .content_length = head.content_length,
            .body = std::make_unique<ResponseBody>(shared_from_this(), std::move(connection), reusable),
            .url = request.url};
}

Client::Client(Executor executor, ClientOptions options) {
    ignore_sigpipe();
    impl_ = std::make_shared<Impl>(executor, std::move(options));
}

// Its sockets and deadlines belong to the I/O thread, wherever the client itself is let go.
Client::~Client() {
    const Executor on = impl_->executor;
    asio::dispatch(on, [impl = std::move(impl_)]() mutable { impl.reset(); });
}

Executor Client::executor() const { return impl_->executor; }

Async<Result<ClientResponse>> Client::send(ClientRequest request) {
    const auto impl = impl_; // the caller may let the client go while it waits
    for (int left = request.max_redirects;; --left) {
        auto response = co_await impl->exchange(request);
        if (!response || !is_redirect(response->status) || left <= 0) co_return response;
        const auto location = response->headers.get("Location");
        if (location.empty()) co_return response;
        const bool becomes_get = response->status == 303
                                     ? request.verb != Verb::head
                                     : response->status <= 302 && request.verb == Verb::post;
        if (!becomes_get && !can_resend(request.body)) co_return response;
        CONSIGN_CO_TRY(next, request.url.resolve(location));
        static_cast<void>(co_await read_all(*response->body, kRedirectBody));
        Headers headers;
        const bool same_origin = next.origin() == request.url.origin();
        for (const auto& [name, value] : request.headers.items()) {
            const auto is = [&one = name](std::string_view other) {
                Headers h;
                h.add(one, "");
                return h.has(other);
            };
            if (!same_origin &&
                (is("Authorization") || is("Cookie") || is("Proxy-Authorization") || is("Host")))
                continue;
            if (becomes_get && (is("Content-Type") || is("Content-Encoding"))) continue;
            headers.add(name, value);
        }
        request.headers = std::move(headers);
        request.url = std::move(next);
        if (becomes_get) {
            request.verb = Verb::get;
            request.body = std::string{};
        }
    }
}

Async<Result<std::string>> Client::fetch_text(ClientRequest request, std::size_t limit_bytes) {
    const std::string where = std::string(name_of(request.verb)) + " " + request.url.str();
    CONSIGN_CO_TRY(response, co_await send(std::move(request)));
    auto text = co_await read_all(*response.body, limit_bytes);
    if (!response.ok())
        co_return std::unexpected(
            error_from(response.status, response.headers.get("Content-Type"), text.value_or("")));
    if (!text) co_return std::unexpected(with_context(std::move(text).error(), where));
    co_return text;
}

} // namespace consign::net
