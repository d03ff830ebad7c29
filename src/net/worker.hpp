#pragma once
#include "net/connection.hpp"
#include "net/listener.hpp"
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <thread>

namespace consign::net {

/// One I/O thread of a server: its context, its listening socket, its connections.
class Worker {
  public:
    Worker(const ServerOptions& options, const Handler& handler, SSL_CTX* tls, Census& census, Fd listener,
           Tcp protocol);
    ~Worker(); ///< joins; finish() must have been called if it was started

    void start();
    Executor executor() { return context_.get_executor(); }
    // From any thread; they take effect on the I/O thread.
    void drain();  ///< stops accepting, closes idle connections, wakes parked requests
    void finish(); ///< cancels what is left; the thread ends when all of it has ended
    /// Whether the thread ended within `patience`.
    bool ended_within(std::chrono::milliseconds patience);

  private:
    Async<void> accept_loop();
    Async<void> turn_away(Socket socket);
    Async<void> end();

    std::size_t max_connections_;
    std::size_t turned_away_ = 0;
    ConnectionHost host_; // before the context: connections that it destroys still sign off here
    asio::io_context context_{1};
    asio::executor_work_guard<Executor> guard_{context_.get_executor()};
    asio::basic_socket_acceptor<Tcp, Executor> acceptor_;
    Tcp protocol_;
    TaskGroup sessions_;
    TaskGroup ending_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool ended_ = false;
    std::thread thread_;
};

} // namespace consign::net
