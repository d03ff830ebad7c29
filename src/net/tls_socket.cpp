#include "net/tls_socket.hpp"
#include <cerrno>
#include <memory>
#include <openssl/bio.h>
#include <sys/socket.h>

namespace consign::net {

// BIO_meth_new(3): the functions that OpenSSL calls.
struct TlsSocketMethod {
    static TlsSocket& self(BIO* bio) { return *static_cast<TlsSocket*>(BIO_get_data(bio)); }

    static int write(BIO* bio, const char* data, int size) {
        auto& socket = self(bio);
        BIO_clear_retry_flags(bio);
        if (socket.holding_ || !socket.held_.empty()) {
            const auto bytes = std::as_bytes(std::span(data, static_cast<std::size_t>(size)));
            socket.held_.insert(socket.held_.end(), bytes.begin(), bytes.end());
            return size;
        }
        for (;;) {
            const auto sent = ::send(socket.socket_, data, static_cast<std::size_t>(size), MSG_NOSIGNAL);
            if (sent >= 0) return static_cast<int>(sent);
            if (errno == EINTR) continue;
            if (errno == EAGAIN || errno == EWOULDBLOCK) BIO_set_retry_write(bio);
            return -1;
        }
    }

    static int read(BIO* bio, char* into, int size) {
        BIO_clear_retry_flags(bio);
        for (;;) {
            const auto got = ::recv(self(bio).socket_, into, static_cast<std::size_t>(size), 0);
            if (got == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
            if (got >= 0) return static_cast<int>(got);
            if (errno == EINTR) continue;
            if (errno == EAGAIN || errno == EWOULDBLOCK) BIO_set_retry_read(bio);
            return -1;
        }
    }

    static long control(BIO* bio, int command, long, void*) {
        if (command == BIO_CTRL_FLUSH) return 1;
        if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
        return 0;
    }

    static int destroy(BIO* bio) {
        delete static_cast<TlsSocket*>(BIO_get_data(bio));
        BIO_set_data(bio, nullptr);
        return 1;
    }

    static BIO_METHOD* get() {
        struct Free {
            void operator()(BIO_METHOD* method) const { BIO_meth_free(method); }
        };
        static const std::unique_ptr<BIO_METHOD, Free> method = [] {
            std::unique_ptr<BIO_METHOD, Free> made(
                BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "consign socket"));
            if (made) {
                BIO_meth_set_write(made.get(), write);
                BIO_meth_set_read(made.get(), read);
                BIO_meth_set_ctrl(made.get(), control);
                BIO_meth_set_destroy(made.get(), destroy);
            }
            return made;
        }();
        return method.get();
    }

    static BIO* make(std::unique_ptr<TlsSocket> socket) {
        BIO* bio = get() ? BIO_new(get()) : nullptr;
        if (!bio) return nullptr;
        BIO_set_data(bio, socket.release());
        BIO_set_init(bio, 1);
        return bio;
    }
    static TlsSocket* attach(SSL* ssl, int descriptor) {
        std::unique_ptr<TlsSocket> owned(new TlsSocket(descriptor));
        auto* const out = owned.get();
        BIO* bio = make(std::move(owned));
        if (!bio) return nullptr;
        SSL_set_bio(ssl, bio, bio);
        return out;
    }
};

TlsSocket* TlsSocket::attach(SSL* ssl, int socket) { return TlsSocketMethod::attach(ssl, socket); }

void TlsSocket::sent(std::size_t count) {
    sent_ += count;
    if (sent_ < held_.size()) return;
    held_.clear();
    sent_ = 0;
}

void TlsSocket::drop_room() {
    if (held_.empty()) std::vector<std::byte>().swap(held_);
}

} // namespace consign::net
