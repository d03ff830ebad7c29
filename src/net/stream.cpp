#include "net/stream.hpp"
#include "net/file_pieces.hpp"
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <cerrno>
#include <cstring>
#include <openssl/err.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

namespace consign::net {

namespace {
// A piece of a file between two looks at the clock and at other connections.
constexpr std::size_t kSendfilePiece = 512 * 1024;
// Records that go out together, and what a TLS read takes from the socket at once: with more, memory per
// connection grows faster than the calls become fewer.
constexpr std::size_t kTlsPiece = 64 * 1024;
constexpr std::size_t kTlsRecord = 16 * 1024;
// A fast peer never makes us wait: after this many operations the others get their turn.
constexpr std::uint8_t kStreak = 32;

SteadyTime after(std::chrono::milliseconds duration) { return std::chrono::steady_clock::now() + duration; }
bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }
constexpr auto kTuple = asio::as_tuple(use_async);
} // namespace

Stream::Stream(Socket socket) : socket_(std::move(socket)) {
    boost::system::error_code ignored;
    if (!socket_.is_open()) return;
    socket_.non_blocking(true, ignored);
    socket_.set_option(Tcp::no_delay(true), ignored);
}

void Stream::expired() {
    timed_out_ = true;
    cancel();
}

void Stream::cancel() {
    boost::system::error_code ignored;
    socket_.cancel(ignored);
}

void Stream::close() {
    boost::system::error_code ignored;
    socket_.close(ignored);
}

Async<Result<void>> Stream::wait(Outcome want, SteadyTime deadline) {
    if (co_await cancelled()) co_return fail(Code::cancelled, "cancelled");
    if (!socket_.is_open()) co_return fail(Code::cancelled, "the connection was closed");
    timed_out_ = false;
    streak_ = 0;
    const Deadline armed(DeadlineQueue::of(executor()), deadline, *this);
    const auto direction = want == Outcome::want_write ? Socket::wait_write : Socket::wait_read;
    const auto [error] = co_await socket_.async_wait(direction, kTuple);
    if (timed_out_) co_return fail(Code::timed_out, "the peer made no progress in time");
    if (error == asio::error::operation_aborted) co_return fail(Code::cancelled, "cancelled");
    if (error) co_return fail(Code::unavailable, error.message());
    co_return Result<void>{};
}

Async<bool> Stream::breathe() {
    if (++streak_ < kStreak) co_return true;
    streak_ = 0;
    co_await asio::post(use_async);
    co_return !co_await cancelled();
}

Async<Result<void>> Stream::connect(Tcp::endpoint endpoint, SteadyTime deadline) {
    boost::system::error_code error;
    socket_.open(endpoint.protocol(), error);
    if (error) co_return fail(Code::unavailable, error.message());
    socket_.non_blocking(true, error);
    socket_.set_option(Tcp::no_delay(true), error);
    if (::connect(socket_.native_handle(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0)
        co_return Result<void>{};
    if (errno != EINPROGRESS) co_return fail(Code::unavailable, std::strerror(errno));
    CONSIGN_CO_CHECK(co_await wait(Outcome::want_write, deadline));
    int failure = 0;
    socklen_t size = sizeof failure;
    ::getsockopt(socket_.native_handle(), SOL_SOCKET, SO_ERROR, &failure, &size);
    if (failure != 0) co_return fail(Code::unavailable, std::strerror(failure));
    co_return Result<void>{};
}

Async<Result<void>> Stream::handshake(TlsSession session, SteadyTime deadline) {
    tls_ = std::move(session);
    tls_socket_ = TlsSocket::attach(tls_.get(), socket_.native_handle());
    if (!tls_socket_) co_return std::unexpected(tls_error(tls_.get(), "TLS"));
    for (;;) {
        ERR_clear_error();
        const Attempt attempt = tls_outcome(SSL_do_handshake(tls_.get()));
        if (attempt.outcome == Outcome::done) co_return Result<void>{};
        if (attempt.outcome == Outcome::end)
            co_return fail(Code::unavailable, "the peer hung up during the TLS handshake");
        if (attempt.outcome == Outcome::broken)
            co_return std::unexpected(broken(attempt, "TLS handshake failed"));
        CONSIGN_CO_CHECK(co_await wait(attempt.outcome, deadline));
    }
}

Async<Result<void>> Stream::wait_readable(SteadyTime deadline) {
    if (tls_ && SSL_has_pending(tls_.get())) co_return Result<void>{};
    co_return co_await wait(Outcome::want_read, deadline);
}

Async<Result<std::size_t>> Stream::read_some(std::span<std::byte> into, SteadyTime deadline) {
    if (!co_await breathe()) co_return fail(Code::cancelled, "cancelled");
    for (;;) {
        const Attempt attempt = try_read(into);
        if (attempt.outcome == Outcome::done) co_return attempt.bytes;
        if (attempt.outcome == Outcome::end) co_return std::size_t{0};
        if (attempt.outcome == Outcome::broken) co_return std::unexpected(broken(attempt, "cannot read"));
        CONSIGN_CO_CHECK(co_await wait(attempt.outcome, deadline));
    }
}

Async<Result<void>> Stream::write_all(ByteView bytes, std::chrono::milliseconds progress) {
    if (tls_ && bytes.size() > kTlsRecord) {
        while (bytes.size() > kTlsRecord) {
            const auto piece = bytes.first(std::min(bytes.size(), kTlsPiece));
            CONSIGN_CO_CHECK(co_await write_records(piece, progress));
            bytes = bytes.subspan(piece.size());
        }
        tls_socket_->drop_room();
    }
    while (!bytes.empty()) {
        if (!co_await breathe()) co_return fail(Code::cancelled, "cancelled");
        const Attempt attempt = try_write(bytes);
        if (attempt.outcome == Outcome::done) {
            bytes = bytes.subspan(attempt.bytes);
            continue;
        }
        if (attempt.outcome == Outcome::end) co_return fail(Code::unavailable, "the peer hung up");
        if (attempt.outcome == Outcome::broken) co_return std::unexpected(broken(attempt, "cannot write"));
        CONSIGN_CO_CHECK(co_await wait(attempt.outcome, after(progress)));
    }
    co_return Result<void>{};
}

// Encrypts all of it, then sends the records together.
Async<Result<void>> Stream::write_records(ByteView bytes, std::chrono::milliseconds progress) {
    tls_socket_->make_room(kTlsPiece);
    tls_socket_->hold(true);
    const bool encrypted = write_now(bytes);
    tls_socket_->hold(false);
    if (!encrypted) co_return fail(Code::unavailable, "cannot write to the peer");
    while (!tls_socket_->held().empty()) {
        if (!co_await breathe()) co_return fail(Code::cancelled, "cancelled");
        const Attempt attempt = send_plain(tls_socket_->held());
        if (attempt.outcome == Outcome::done)
            tls_socket_->sent(attempt.bytes);
        else if (attempt.outcome == Outcome::broken)
            co_return std::unexpected(broken(attempt, "cannot write"));
        else
            CONSIGN_CO_CHECK(co_await wait(attempt.outcome, after(progress)));
    }
    co_return Result<void>{};
}

bool Stream::write_now(ByteView bytes) {
    while (!bytes.empty()) {
        const Attempt attempt = try_write(bytes);
        if (attempt.outcome != Outcome::done) return false;
        bytes = bytes.subspan(attempt.bytes);
    }
    return true;
}

Async<Result<void>> Stream::send_file(int file, std::uint64_t offset, std::uint64_t size,
                                      std::chrono::milliseconds progress) {
    if (tls_) {
        FilePieces pieces(file, offset, size);
        for (;;) {
            CONSIGN_CO_TRY(piece, pieces.next());
            if (piece.empty()) break;
            CONSIGN_CO_CHECK(co_await write_records(piece, progress));
        }
        tls_socket_->drop_room();
        co_return Result<void>{};
    }
    auto position = static_cast<off_t>(offset);
    while (size > 0) {
        if (!co_await breathe()) co_return fail(Code::cancelled, "cancelled");
        if (!socket_.is_open()) co_return fail(Code::cancelled, "the connection was closed");
        const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(size, kSendfilePiece));
        const ssize_t sent = ::sendfile(socket_.native_handle(), file, &position, want);
        if (sent > 0) {
            size -= static_cast<std::uint64_t>(sent);
        } else if (sent == 0) {
            co_return fail(Code::internal, "a file ended before the size it was announced with");
        } else if (would_block(errno)) {
            CONSIGN_CO_CHECK(co_await wait(Outcome::want_write, after(progress)));
        } else if (errno != EINTR) {
            co_return fail(Code::unavailable, std::string("cannot send a file: ") + std::strerror(errno));
        }
    }
    co_return Result<void>{};
}

Stream::Attempt Stream::try_read(std::span<std::byte> into) {
    if (!socket_.is_open()) return {Outcome::broken, 0, ECANCELED};
    if (tls_) return read_records(into);
    for (;;) {
        const ssize_t got = ::recv(socket_.native_handle(), into.data(), into.size(), 0);
        if (got > 0) return {Outcome::done, static_cast<std::size_t>(got)};
        if (got == 0) return {Outcome::end};
        if (would_block(errno)) return {Outcome::want_read};
        if (errno != EINTR) return {Outcome::broken, 0, errno};
    }
}

// As many records as came together, if there is room for them.
Stream::Attempt Stream::read_records(std::span<std::byte> into) {
    const bool many = into.size() >= kTlsPiece;
    SSL_set_read_ahead(tls_.get(), many);
    if (many) SSL_set_default_read_buffer_len(tls_.get(), kTlsPiece + kTlsRecord);
    std::size_t filled = 0;
    do {
        ERR_clear_error();
        std::size_t got = 0;
        const auto room = into.subspan(filled);
        const int returned = SSL_read_ex(tls_.get(), room.data(), room.size(), &got);
        if (returned != 1) return filled > 0 ? Attempt{Outcome::done, filled} : tls_outcome(returned);
        filled += got;
    } while (many && filled < into.size() && SSL_has_pending(tls_.get()));
    return {Outcome::done, filled};
}

Stream::Attempt Stream::try_write(ByteView bytes) {
    if (!socket_.is_open()) return {Outcome::broken, 0, ECANCELED};
    if (tls_) {
        ERR_clear_error();
        std::size_t sent = 0;
        const int returned = SSL_write_ex(tls_.get(), bytes.data(), bytes.size(), &sent);
        return returned == 1 ? Attempt{Outcome::done, sent} : tls_outcome(returned);
    }
    return send_plain(bytes);
}

Stream::Attempt Stream::send_plain(ByteView bytes) {
    if (!socket_.is_open()) return {Outcome::broken, 0, ECANCELED};
    for (;;) {
        const ssize_t sent = ::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent >= 0) return {Outcome::done, static_cast<std::size_t>(sent)};
        if (would_block(errno)) return {Outcome::want_write};
        if (errno != EINTR) return {Outcome::broken, 0, errno};
    }
}

Stream::Attempt Stream::tls_outcome(int returned) {
    if (returned == 1) return {Outcome::done};
    const int system = errno;
    switch (SSL_get_error(tls_.get(), returned)) {
    case SSL_ERROR_WANT_READ:
        return {Outcome::want_read};
    case SSL_ERROR_WANT_WRITE:
        return {Outcome::want_write};
    case SSL_ERROR_ZERO_RETURN:
        return {Outcome::end};
    case SSL_ERROR_SYSCALL:
        return {Outcome::broken, 0, system != 0 ? system : ECONNRESET};
    default:
        return {Outcome::broken, 0, 0};
    }
}

Error Stream::broken(const Attempt& attempt, std::string_view doing) {
    if (attempt.error == ECANCELED) return {Code::cancelled, "the connection was closed"};
    if (attempt.error != 0)
        return {Code::unavailable, std::string(doing) + ": " + std::strerror(attempt.error)};
    return tls_error(tls_.get(), doing);
}

Stream::Probe Stream::probe() {
    if (!socket_.is_open()) return Probe::gone;
    char byte = 0;
    if (tls_) {
        // Consumes what is not data (session tickets, key updates, the close), keeps what is.
        ERR_clear_error();
        const Attempt attempt = tls_outcome(SSL_peek(tls_.get(), &byte, 1));
        ERR_clear_error();
        if (attempt.outcome == Outcome::done) return Probe::data;
        return attempt.outcome == Outcome::want_read || attempt.outcome == Outcome::want_write ? Probe::quiet
                                                                                               : Probe::gone;
    }
    for (;;) {
        const ssize_t got = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        if (got > 0) return Probe::data;
        if (got == 0) return Probe::gone;
        if (would_block(errno)) return Probe::quiet;
        if (errno != EINTR) return Probe::gone;
    }
}

void Stream::finish_writing() {
    if (!socket_.is_open()) return;
    if (tls_ && SSL_is_init_finished(tls_.get())) {
        ERR_clear_error();
        SSL_shutdown(tls_.get());
        ERR_clear_error();
    }
    ::shutdown(socket_.native_handle(), SHUT_WR);
}

} // namespace consign::net
