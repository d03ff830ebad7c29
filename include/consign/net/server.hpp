#pragma once
#include "consign/net/http.hpp"
#include "consign/net/mailbox.hpp"
#include <atomic>
#include <map>

namespace consign::net {

/// Lets one request wait for a mailbox. The wait ends early when the peer hangs up or the server drains,
/// so that a parked request never outlives its connection. Costs no timer and no thread of its own.
class Parking {
  public:
    virtual ~Parking() = default;
    Async<Wake> wait_past(Mailbox& mailbox, std::uint64_t seen, SteadyTime deadline);
    /// Whether the server is shutting down: what could go on for long must come to its end.
    virtual bool draining() const { return false; }
    /// How long the handler may take, from the request's head to its Response; the body's bytes count, those of
    /// the answer do not. Then a read of the body ends with timed_out and a wait with Wake::deadline; a handler
    /// that is busy elsewhere goes on, but the peer is answered 504 without it. Not said: no limit.
    virtual void answer_within(std::chrono::milliseconds) {}

  protected:
    /// Starts watching the connection; calls `on_event(gone|draining)` at most once, on the I/O thread.
    virtual void watch(std::function<void(Wake)> on_event) = 0;
    virtual void unwatch() = 0;
};

struct Request {
    Verb verb = Verb::get;
    std::string
        path; ///< percent-decoded only where a route parameter is read; here as sent, without the query
    Query query;
    Headers headers;
    std::string remote; ///< the peer's address, without port
    bool tls = false;
    std::optional<std::uint64_t> content_length;
    std::map<std::string, std::string, std::less<>> params; ///< filled by whoever routes
    Source* body = nullptr;                                 ///< never null inside a handler
    Parking* parking = nullptr;                             ///< never null inside a handler

    std::string_view param(std::string_view name) const {
        const auto found = params.find(name);
        return found == params.end() ? std::string_view{} : std::string_view(found->second);
    }
};

class Later;

struct Response {
    int status = 200;
    Headers headers = {};
    Body body = std::string{};
    std::shared_ptr<Later> later = {}; ///< the answer is still to come; the rest of this says nothing then

    static Response json(int status, std::string text);
    static Response text(int status, std::string text);
    static Response empty(int status);
};

/// An answer that has to wait for something, for a long time and in great numbers. Parking::wait_past() keeps the
/// handler with all its frames and the whole request; this keeps what its maker put into it, and nothing else.
class Later {
  public:
    struct Until {
        Mailbox& mailbox;
        std::uint64_t seen = 0; ///< a version past this one ends the wait
        SteadyTime deadline{};
    };
    virtual ~Later() = default;
    virtual Until until() = 0;
    /// How long each resume() may take; then the peer is answered 504 without it.
    virtual std::chrono::milliseconds limit() const = 0;
    /// On the connection's I/O thread, with why the wait has ended (not with `gone`: then there is nobody to
    /// answer, and this is dropped). The response, which may be this again.
    virtual Async<Response> resume(std::shared_ptr<Later> self, Wake why) = 0;
};

/// Code → HTTP status; the only such table.
int status_of(Code code);
/// RFC 9457 application/problem+json with `type`, `title`, `status`, `detail`, and our `code` and `hint`;
/// rate_limited and unavailable carry Retry-After.
Response problem(const Error& error);
/// The inverse, for clients: the Error that a problem body or, failing that, the bare status stands for.
Error error_from(int status, std::string_view content_type, std::string_view body);

/// Answers one request. Runs on the I/O thread of its connection; must not block. What it throws becomes a
/// logged 500. The request outlives the coroutine.
using Handler = std::function<Async<Response>(Request&)>;

struct ServerOptions {
    std::string address = "127.0.0.1";
    std::uint16_t port = 0; ///< 0: the kernel picks, see Server::port()
    std::size_t threads = 1;
    std::string tls_certificate_file = {}, tls_key_file = {}; ///< PEM; both or neither
    std::size_t header_limit_bytes = 64 * 1024;
    std::chrono::milliseconds header_deadline =
        std::chrono::seconds(10); ///< from the first byte to the blank line
    std::chrono::milliseconds idle_deadline = std::chrono::seconds(75); ///< longer than a proxy's 60 s
    std::chrono::milliseconds io_deadline = std::chrono::seconds(30);   ///< no progress on a body, either way
    /// What a request's body must bring in each io_deadline that is spent waiting for it, or else its end: one
    /// byte now and then is not progress. 16 KiB in 30 s is a tenth of the slowest modem.
    std::size_t body_pace_bytes = 16 * 1024;
    std::size_t max_connections = 16'000;                               ///< beyond it: 503 and close
};

/// HTTP/1.1 (RFC 9112) with keep-alive, chunked bodies both ways, Expect: 100-continue, sendfile; TLS 1.2+
/// straight on the socket. One io_context per thread; a connection stays where it was accepted
/// (SO_REUSEPORT).
class Server {
  public:
    /// Binds at once: `conflict` names the port that is taken. Threads start in start().
    static Result<std::unique_ptr<Server>> bind(ServerOptions options, Handler handler);
    ~Server(); ///< stops hard if it still runs

    std::uint16_t port() const;
    void start();
    /// Any I/O thread's executor, for tasks that belong to the server (index < threads).
    Executor executor(std::size_t index = 0);
    /// Stops accepting, wakes parked requests, lets running ones finish for at most `grace`, closes the rest,
    /// joins the threads. Blocks: call it from main.
    void drain(std::chrono::milliseconds grace);
    std::size_t connections() const;

  private:
    Server();
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace consign::net
