#pragma once
#include "consign/base/bytes.hpp"
#include "net/deadline.hpp"
#include "net/tls_socket.hpp"
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace consign::net {

using Tcp = asio::ip::tcp;
using Socket = asio::basic_stream_socket<Tcp, Executor>;

/// A connected, non-blocking TCP socket, plain or with TLS: every operation tries first and waits for the
/// socket only where the kernel or OpenSSL says so. One operation at a time; on its I/O thread only.
/// Errors: unavailable (the connection broke), timed_out, cancelled, unauthenticated (TLS, client side).
class Stream final : public Expirable {
  public:
    explicit Stream(Socket socket);

    Async<Result<void>> connect(Tcp::endpoint endpoint, SteadyTime deadline);
    /// Takes the session and performs the handshake on this socket.
    Async<Result<void>> handshake(TlsSession session, SteadyTime deadline);

    /// Until there is something to read: bytes, the end, or an error.
    Async<Result<void>> wait_readable(SteadyTime deadline);
    /// 0: the peer closed in order. Without a suspension between the read and the caller's next step: the
    /// buffer may be one that all connections of the thread share.
    Async<Result<std::size_t>> read_some(std::span<std::byte> into, SteadyTime deadline);
    Async<Result<void>> write_all(ByteView bytes, std::chrono::milliseconds progress);
    /// All of it without waiting, or false: the stream is useless then.
    bool write_now(ByteView bytes);
    /// sendfile(2) on a plain connection, FilePieces and TLS records otherwise. Cold pages block the I/O
    /// thread for a disk read of at most 512 KiB: accepted, and measured cheaper than a thread hop each.
    Async<Result<void>> send_file(int file, std::uint64_t offset, std::uint64_t size,
                                  std::chrono::milliseconds progress);

    enum class Probe { quiet, data, gone };
    /// What a read would find, without consuming anything.
    Probe probe();

    /// Says that nothing more follows (close_notify, FIN); never waits.
    void finish_writing();
    void cancel(); ///< whatever waits on the socket ends with `cancelled`
    void close();
    bool is_tls() const { return tls_ != nullptr; }
    Socket& socket() { return socket_; }
    Executor executor() { return socket_.get_executor(); }

  private:
    enum class Outcome { done, end, want_read, want_write, broken };
    struct Attempt {
        Outcome outcome;
        std::size_t bytes = 0;
        int error = 0;
    };
    void expired() override;
    Attempt try_read(std::span<std::byte> into);
    Attempt read_records(std::span<std::byte> into);
    Attempt try_write(ByteView bytes);
    Attempt send_plain(ByteView bytes);
    Async<Result<void>> write_records(ByteView bytes, std::chrono::milliseconds progress);
    Attempt tls_outcome(int returned);
    Error broken(const Attempt& attempt, std::string_view doing);
    Async<Result<void>> wait(Outcome want, SteadyTime deadline);
    Async<bool> breathe(); ///< false: cancelled

    Socket socket_;
    TlsSession tls_;
    TlsSocket* tls_socket_ = nullptr; ///< of tls_
    bool timed_out_ = false;
    std::uint8_t streak_ = 0; ///< operations in a row that did not wait
};

} // namespace consign::net
