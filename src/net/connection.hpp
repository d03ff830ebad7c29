#pragma once
#include "consign/net/server.hpp"
#include "net/incoming.hpp"
#include "net/wire.hpp"
#include <condition_variable>
#include <unordered_set>

namespace consign::net {

class Connection;

/// The server's count of live connections, and who waits for it to reach zero.
struct Census {
    std::atomic<std::size_t> connections = 0;
    std::mutex mutex;
    std::condition_variable changed;
    void left() {
        if (--connections > 0) return;
        const std::scoped_lock lock(mutex);
        changed.notify_all();
    }
};

/// What the connections of one I/O thread share. Outlives them.
struct ConnectionHost {
    const ServerOptions& options;
    const Handler& handler;
    Census& census;
    SSL_CTX* tls = nullptr;
    bool draining = false;
    std::unordered_set<Connection*> connections = {};
    Scratch scratch{64 * 1024};
};

/// One accepted connection, counted by the census while it exists. Held by its session's coroutine, and for
/// moments by a watch's callback.
class Connection final : public Parking, public Source, public std::enable_shared_from_this<Connection> {
  public:
    Connection(ConnectionHost& host, Socket socket, std::string remote);
    ~Connection() override;

    /// The session: handshake, requests, close.
    static Async<void> serve(std::shared_ptr<Connection> self);
    void abort() { stream_.close(); }
    /// Closes if idle, wakes if parked, else lets the request finish.
    void drain();

    Async<Result<std::size_t>> read(std::span<std::byte> into) override;
    bool draining() const override { return host_.draining; }
    void answer_within(std::chrono::milliseconds limit) override;

  protected:
    void watch(std::function<void(Wake)> on_event) override;
    void unwatch() override;

  private:
    Async<bool> handshake();
    /// What of a request its answer needs.
    struct Asked {
        Verb verb = Verb::get;
        std::string path;
    };
    // These say whether the connection can go on: with another request, or with waiting for later_.
    Async<bool> serve_one();
    Async<bool> go_on(Wake why); ///< what later_ waited for is here
    Async<bool> conclude(std::optional<Response> response);
    Async<bool> receive(Request& request);
    Async<bool> answer(Response response);
    // A response; none: the connection is at its end.
    Async<std::optional<Response>> respond();
    Async<std::optional<Response>> handled(Async<Response> work);
    Async<bool> refuse(Error error, int status);
    Async<bool> drain_body();
    Async<void> linger();
    void watch_socket();
    void report(Wake wake);
    void overdue();
    SteadyTime io_deadline() const { return std::chrono::steady_clock::now() + host_.options.io_deadline; }

    ConnectionHost& host_;
    Stream stream_;
    Incoming incoming_;
    std::string remote_;
    Asked asked_;                  ///< the request being served
    std::shared_ptr<Later> later_; ///< set: its answer is waited for
    bool idle_ = false;
    bool keep_alive_ = false, http_1_0_ = false; ///< of the request being served
    bool expects_continue_ = false;
    bool reading_ = false; ///< the handler waits for its body
    // What is left of the time in which the body must bring body_pace_bytes, and what it has brought.
    std::chrono::nanoseconds patience_{};
    std::size_t brought_ = 0;
    SteadyTime head_at_{};

    struct Alarm final : Expirable {
        explicit Alarm(Connection& whose) : connection(whose) {}
        void expired() override { connection.overdue(); }
        Connection& connection;
    };
    enum class Due { no, interrupted, answered }; ///< what became of a handler that took too long
    Due due_ = Due::no;
    Alarm alarm_{*this};
    std::optional<Deadline> armed_;
    std::function<void(Wake)> on_event_; ///< set while parked
    std::uint64_t watch_id_ = 0;
};

} // namespace consign::net
