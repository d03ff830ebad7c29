#include "net/connection.hpp"
#include "consign/base/log.hpp"
#include <algorithm>
#include <format>

namespace consign::net {

namespace {
using Clock = std::chrono::steady_clock;
// What is left of a body nobody wanted costs less to read than a new connection, up to here.
constexpr std::uint64_t kDrainBytes = 256 * 1024;
// A socket closed with unread bytes sends a reset, which can overtake the answer: give the peer a moment.
constexpr auto kLingerFor = std::chrono::seconds(2);
// For a handler whose wait was ended to answer by itself.
constexpr auto kUnwindWithin = std::chrono::seconds(1);

bool same(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, {},
                              [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
}

// IMF-fixdate (RFC 9110 section 5.6.7), made once a second per thread.
const std::string& http_date() {
    thread_local std::time_t made_for = 0;
    thread_local std::string text;
    const std::time_t now = std::time(nullptr);
    if (now != made_for) {
        std::tm utc{};
        gmtime_r(&now, &utc);
        static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
        static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        text = std::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[utc.tm_wday], utc.tm_mday,
                           kMonths[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
        made_for = now;
    }
    return text;
}

// Path and query of an origin-form or absolute-form target (RFC 9112 section 3.2).
Result<void> split_target(std::string_view target, Request& request) {
    if (!target.starts_with('/')) {
        const auto scheme = target.find("://");
        if (scheme == std::string_view::npos)
            return fail(Code::invalid_argument, "the request's target is not a path");
        const auto path = target.find_first_of("/?", scheme + 3);
        target = path == std::string_view::npos ? std::string_view("/") : target.substr(path);
    }
    const auto question = std::min(target.find('?'), target.size());
    request.path = target.substr(0, question);
    if (request.path.empty()) request.path = "/";
    if (question < target.size()) request.query = Query::parse(target.substr(question + 1));
    return {};
}
std::unexpected<Error> late_body() {
    return fail(Code::timed_out, "the request's body took too long to arrive");
}
Response internal_error() {
    return problem({Code::internal, "internal error", "the server's log has the details"});
}
} // namespace

Connection::Connection(ConnectionHost& host, Socket socket, std::string remote)
    : host_(host), stream_(std::move(socket)), incoming_(stream_, host.scratch.all()),
      remote_(std::move(remote)) {
    host_.connections.insert(this);
    ++host_.census.connections;
}

Connection::~Connection() {
    host_.connections.erase(this);
    host_.census.left();
}

Async<void> Connection::serve(std::shared_ptr<Connection> self) {
    if (self->host_.tls && !co_await self->handshake()) co_return;
    for (bool alive = true; alive;) {
        if (self->later_) {
            // Here, and not further down, because many wait here: what serves a request has given its frames back.
            const auto until = self->later_->until();
            const auto why = co_await self->wait_past(until.mailbox, until.seen, until.deadline);
            alive = why != Wake::gone && co_await self->go_on(why);
            continue;
        }
        if (!self->incoming_.has_bytes()) {
            if (self->host_.draining) break;
            self->idle_ = true;
            const auto ready =
                co_await self->stream_.wait_readable(Clock::now() + self->host_.options.idle_deadline);
            self->idle_ = false;
            if (!ready) break;
        }
        alive = co_await self->serve_one();
    }
    self->later_.reset();
    self->stream_.finish_writing();
    self->stream_.close();
}

Async<bool> Connection::handshake() {
    auto session = new_session(host_.tls);
    if (session) {
        SSL_set_accept_state(session->get());
        const auto ready =
            co_await stream_.handshake(std::move(*session), Clock::now() + host_.options.header_deadline);
        if (!ready)
            log::debug("TLS handshake failed", {{"remote", remote_}, {"error", ready.error().message}});
        co_return ready.has_value();
    }
    log::error("no TLS session for a connection", {{"error", to_string(session.error())}});
    co_return false;
}

Async<bool> Connection::serve_one() { co_return co_await conclude(co_await respond()); }

Async<bool> Connection::go_on(Wake why) {
    const auto later = std::move(later_);
    head_at_ = Clock::now();
    answer_within(later->limit());
    co_return co_await conclude(co_await handled(later->resume(later, why)));
}

Async<bool> Connection::conclude(std::optional<Response> response) {
    if (!response) co_return false;
    if (response->later) {
        later_ = std::move(response->later);
        co_return true;
    }
    co_return co_await answer(std::move(*response));
}

Async<std::optional<Response>> Connection::respond() {
    Request request;
    if (!co_await receive(request)) co_return std::nullopt;
    asked_ = {.verb = request.verb, .path = request.path};
    co_return co_await handled(host_.handler(request));
}

Async<std::optional<Response>> Connection::handled(Async<Response> work) {
    std::optional<Response> response;
    due_ = Due::no;
    try {
        response.emplace(co_await std::move(work));
    } catch (const std::exception& e) {
        log::error("a handler failed", {{"path", asked_.path}, {"error", e.what()}});
    } catch (...) {
        log::error("a handler failed", {{"path", asked_.path}});
    }
    armed_.reset();
    if (co_await cancelled()) co_return std::nullopt;
    if (due_ == Due::answered) {
        log::warn("a request was answered after its time, to nobody", {{"path", asked_.path}});
        co_await linger();
        co_return std::nullopt;
    }
    if (!response) response = internal_error();
    co_return response;
}

Async<bool> Connection::receive(Request& request) {
    auto text = co_await incoming_.read_head(host_.options.header_limit_bytes,
                                             Clock::now() + host_.options.header_deadline);
    if (!text && text.error().code == Code::too_large)
        co_return co_await refuse(std::move(text).error(), 431);
    if (!text && text.error().code == Code::timed_out)
        co_return co_await refuse({Code::timed_out, "the request's head took too long"}, 408);
    if (!text && text.error().code == Code::invalid_argument)
        co_return co_await refuse(std::move(text).error(), 400);
    if (!text || text->empty()) co_return false;
    auto parsed = parse_request_head(*text);
    if (!parsed) {
        const int status = parsed.error().code == Code::unsupported ? 501 : 400;
        co_return co_await refuse(std::move(parsed).error(), status);
    }
    const auto verb = verb_from(parsed->method);
    if (!verb)
        co_return co_await refuse({Code::unsupported, "the method " + parsed->method + " is not supported"},
                                  501);
    const auto hosts = parsed->headers.all("Host").size();
    if (hosts > 1 || (hosts == 0 && !parsed->http_1_0))
        co_return co_await refuse({Code::invalid_argument, "a request needs exactly one Host header"}, 400);
    if (auto split = split_target(parsed->target, request); !split)
        co_return co_await refuse(std::move(split).error(), 400);
    request.verb = *verb;
    request.headers = std::move(parsed->headers);
    if (!parsed->chunked) request.content_length = parsed->content_length.value_or(0);
    request.remote = remote_;
    request.tls = stream_.is_tls();
    request.body = this;
    request.parking = this;
    keep_alive_ = parsed->keep_alive;
    http_1_0_ = parsed->http_1_0;
    head_at_ = Clock::now();
    patience_ = host_.options.io_deadline;
    brought_ = 0;
    expects_continue_ = same(request.headers.get("Expect"), "100-continue") && !http_1_0_;
    incoming_.begin_body(parsed->chunked ? Incoming::Kind::chunked : Incoming::Kind::length,
                         parsed->content_length.value_or(0), std::move(parsed->decoder));
    co_return true;
}

Async<bool> Connection::answer(Response response) {
    if (const auto valid = check_headers(response.headers);
        !valid || response.status < 200 || response.status > 999) {
        log::error("a handler's response was refused",
                   {{"path", asked_.path}, {"error", valid ? "impossible status" : valid.error().message}});
        response = internal_error();
    }
    // A body that the client has not been told to send, or too much to read away: the connection ends.
    const bool stuck = !incoming_.body_done() && (expects_continue_ || incoming_.body_left() > kDrainBytes);
    BodyPlan plan = plan_of(response.body);
    if (plan.framing == Framing::chunked && http_1_0_) plan.framing = Framing::until_close;
    const bool keep_alive = keep_alive_ && !stuck && !host_.draining &&
                            plan.framing != Framing::until_close &&
                            !same(response.headers.get("Connection"), "close");

    std::string head = std::format("HTTP/1.1 {} {}\r\nDate: {}\r\n", response.status,
                                   reason_phrase(response.status), http_date());
    append_headers(head, response.headers);
    if (response.status == 204 || response.status == 304) {
        plan.framing = Framing::none;
    } else if (asked_.verb == Verb::head) {
        // A handler that answers HEAD without a body may say how long the body would be.
        const auto said = response.headers.get("Content-Length");
        const auto* text = std::get_if<std::string>(&response.body);
        if (text && text->empty() && !said.empty())
            head.append("Content-Length: ").append(said).append("\r\n");
        else
            append_framing(head, plan);
        plan.framing = Framing::none;
    } else {
        append_framing(head, plan);
    }
    if (!keep_alive)
        head += "Connection: close\r\n";
    else if (http_1_0_)
        head += "Connection: keep-alive\r\n";
    head += "\r\n";

    const auto sent =
        co_await send_message(stream_, std::move(head), response.body, plan, host_.options.io_deadline);
    if (!sent) {
        log::debug("a response was cut short", {{"path", asked_.path}, {"error", sent.error().message}});
        stream_.close(); // no close_notify, no last chunk: the client must see that something is missing
        co_return false;
    }
    if (incoming_.body_done()) co_return keep_alive;
    if (!stuck && co_await drain_body()) co_return keep_alive;
    co_await linger();
    co_return false;
}

Async<bool> Connection::refuse(Error error, int status) {
    Response response = problem(error);
    std::string head =
        std::format("HTTP/1.1 {} {}\r\nDate: {}\r\n", status, reason_phrase(status), http_date());
    append_headers(head, response.headers);
    const BodyPlan plan = plan_of(response.body);
    append_framing(head, plan);
    head += "Connection: close\r\n\r\n";
    if (co_await send_message(stream_, std::move(head), response.body, plan, kLingerFor)) co_await linger();
    co_return false;
}

Async<bool> Connection::drain_body() {
    std::uint64_t drained = 0;
    const auto deadline = io_deadline();
    std::vector<std::byte> sink(16 * 1024);
    while (drained <= kDrainBytes) {
        const auto got = co_await incoming_.read_body(sink, deadline);
        if (!got) co_return false;
        if (*got == 0) co_return true;
        drained += *got;
        if (incoming_.body_done()) co_return true;
    }
    co_return false;
}

Async<void> Connection::linger() {
    stream_.finish_writing();
    const auto deadline = Clock::now() + kLingerFor;
    for (std::uint64_t seen = 0; seen <= kDrainBytes;) {
        const auto got = co_await stream_.read_some(host_.scratch.all(), deadline);
        if (!got || *got == 0) break;
        seen += *got;
    }
}

Async<Result<std::size_t>> Connection::read(std::span<std::byte> into) {
    if (incoming_.body_done()) co_return std::size_t{0};
    if (expects_continue_) {
        expects_continue_ = false;
        constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
        if (!incoming_.has_bytes())
            CONSIGN_CO_CHECK(co_await stream_.write_all(as_bytes(kContinue), host_.options.io_deadline));
    }
    if (due_ != Due::no) co_return late_body();
    const auto began = Clock::now();
    reading_ = true;
    auto got = co_await incoming_.read_body(into, began + patience_);
    reading_ = false;
    if (!got && due_ != Due::no) co_return late_body();
    if (!got) co_return got;
    // Only time spent waiting for the peer counts: a handler may take its own between two reads.
    patience_ -= Clock::now() - began;
    brought_ += *got;
    if (brought_ >= host_.options.body_pace_bytes) {
        brought_ = 0;
        patience_ = host_.options.io_deadline;
    }
    co_return got;
}

void Connection::answer_within(std::chrono::milliseconds limit) {
    armed_.reset();
    armed_.emplace(DeadlineQueue::of(stream_.executor()), head_at_ + limit, alarm_);
}

// First whatever the handler waits for on this connection ends, so that it can answer itself; one that still
// has no answer is somewhere else, in the database say, where nothing can be undone. It is not waited for.
void Connection::overdue() {
    if (due_ == Due::no && (reading_ || on_event_)) {
        due_ = Due::interrupted;
        armed_.emplace(DeadlineQueue::of(stream_.executor()), Clock::now() + kUnwindWithin, alarm_);
        if (reading_)
            stream_.cancel();
        else
            report(Wake::deadline);
        return;
    }
    due_ = Due::answered;
    const Response response = problem({Code::timed_out, "the server did not get this done in time",
                                       "look whether it was done before you repeat it"});
    const auto& text = std::get<std::string>(response.body);
    std::string message = std::format("HTTP/1.1 {} {}\r\nDate: {}\r\n", response.status,
                                      reason_phrase(response.status), http_date());
    append_headers(message, response.headers);
    append_framing(message, plan_of(response.body));
    message += "Connection: close\r\n\r\n" + text;
    if (stream_.write_now(as_bytes(message)))
        stream_.finish_writing();
    else
        stream_.close();
}

void Connection::drain() {
    if (on_event_)
        report(Wake::draining);
    else if (idle_)
        stream_.cancel();
}

void Connection::report(Wake wake) {
    if (const auto event = std::exchange(on_event_, nullptr)) event(wake);
}

void Connection::watch(std::function<void(Wake)> on_event) {
    on_event_ = std::move(on_event);
    ++watch_id_;
    if (host_.draining) return report(Wake::draining);
    // Bytes that are here already belong to the next request (or to this one's body): they say nothing
    // about whether the peer still listens, and the socket would be readable all the time.
    if (!incoming_.has_bytes() && incoming_.body_done()) watch_socket();
}

void Connection::watch_socket() {
    switch (stream_.probe()) {
    case Stream::Probe::gone:
        return report(Wake::gone);
    case Stream::Probe::data:
        return;
    case Stream::Probe::quiet:
        break;
    }
    stream_.socket().async_wait(Socket::wait_read,
                                [self = shared_from_this(), id = watch_id_](boost::system::error_code error) {
                                    // A cancelled wait completes later; by then another one may be under way.
                                    if (error || id != self->watch_id_ || !self->on_event_) return;
                                    self->watch_socket();
                                });
}

void Connection::unwatch() {
    ++watch_id_;
    on_event_ = nullptr;
    stream_.cancel();
}

} // namespace consign::net
