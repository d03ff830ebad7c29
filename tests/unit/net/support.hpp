#pragma once
// What the tests of net share: a server with its client, raw sockets, and a certificate of our own.
#include "consign/net/client.hpp"
#include "consign/net/server.hpp"
#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace consign::net::test {

using namespace std::chrono_literals;

struct Running {
    std::unique_ptr<Server> server;
    explicit Running(Handler handler, ServerOptions options = {}) {
        auto bound = Server::bind(std::move(options), std::move(handler));
        REQUIRE(bound);
        server = std::move(*bound);
        server->start();
    }
    ~Running() { server->drain(2s); }
    Url url(const std::string& target, const std::string& scheme = "http",
            const std::string& host = "127.0.0.1") const {
        return {scheme, host, server->port(), target};
    }
};

/// Waits for something that another thread brings about; generous, so that a slow machine passes.
inline bool eventually(const std::function<bool()>& holds) {
    for (int i = 0; i < 2000; ++i) {
        if (holds()) return true;
        std::this_thread::sleep_for(10ms);
    }
    return false;
}

/// A blocking socket, to say what no well-behaved client says.
class Raw {
  public:
    explicit Raw(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        // Not REQUIRE: tests make these on other threads, where Catch2's assertions are a data race.
        if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0)
            throw std::system_error(errno, std::generic_category(), "connect to the server under test");
        const timeval limit{20, 0};
        ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    }
    Raw& say(std::string_view text) {
        while (!text.empty()) {
            const ssize_t sent = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
            if (sent <= 0) break;
            text.remove_prefix(static_cast<std::size_t>(sent));
        }
        return *this;
    }
    /// Until `mark` has come, or the connection ends.
    std::string hear(std::string_view mark) {
        while (heard_.find(mark) == std::string::npos && more()) {
        }
        const auto end = heard_.find(mark);
        const auto count = end == std::string::npos ? heard_.size() : end + mark.size();
        std::string out = heard_.substr(0, count);
        heard_.erase(0, count);
        return out;
    }
    std::string hear_all() {
        while (more()) {
        }
        return std::exchange(heard_, {});
    }
    bool closed() {
        hear_all();
        return ended_;
    }
    void close() { fd_.reset(); }

  private:
    bool more() {
        char buffer[4096];
        const ssize_t got = ::recv(fd_.get(), buffer, sizeof buffer, 0);
        ended_ = got == 0 || (got < 0 && errno == ECONNRESET);
        if (got <= 0) return false;
        heard_.append(buffer, static_cast<std::size_t>(got));
        return true;
    }
    Fd fd_;
    std::string heard_;
    bool ended_ = false;
};

/// A listening socket whose one peer is played by the test.
class FakeServer {
  public:
    using Script = std::function<void(int fd, int connection)>;
    explicit FakeServer(int connections, Script script)
        : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
        REQUIRE(::listen(fd_.get(), 8) == 0);
        socklen_t size = sizeof at;
        ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&at), &size);
        port = ntohs(at.sin_port);
        thread_ = std::thread([this, connections, script = std::move(script)] {
            for (int i = 0; i < connections; ++i) {
                pollfd ready{fd_.get(), POLLIN, 0};
                if (::poll(&ready, 1, 20'000) <= 0) return;
                const Fd peer(::accept(fd_.get(), nullptr, nullptr));
                const timeval limit{20, 0};
                ::setsockopt(peer.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
                script(peer.get(), i);
            }
        });
    }
    ~FakeServer() { thread_.join(); }
    static std::string read_head(int fd) {
        std::string head;
        char c;
        while (head.find("\r\n\r\n") == std::string::npos && ::recv(fd, &c, 1, 0) == 1) head += c;
        return head;
    }
    static void say(int fd, std::string_view text) { ::send(fd, text.data(), text.size(), MSG_NOSIGNAL); }
    std::uint16_t port = 0;

  private:
    Fd fd_;
    std::thread thread_;
};

/// A self-signed P-256 certificate for `host` (a DNS name) and 127.0.0.1.
struct Certificate {
    TemporaryDirectory directory;
    std::string cert, key;
    static Certificate make(const std::string& host = "localhost", long valid_seconds = 3600) {
        auto directory = TemporaryDirectory::make("net-test");
        REQUIRE(directory);
        Certificate out{std::move(*directory), {}, {}};
        out.cert = out.directory.path() / "cert.pem";
        out.key = out.directory.path() / "key.pem";
        EVP_PKEY* pkey = EVP_EC_gen("P-256");
        X509* x509 = X509_new();
        X509_set_version(x509, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
        X509_gmtime_adj(X509_getm_notBefore(x509), -7200);
        X509_gmtime_adj(X509_getm_notAfter(x509), valid_seconds);
        X509_set_pubkey(x509, pkey);
        X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC,
                                   reinterpret_cast<const unsigned char*>(host.c_str()), -1, -1, 0);
        X509_set_issuer_name(x509, X509_get_subject_name(x509));
        X509V3_CTX context;
        X509V3_set_ctx_nodb(&context);
        X509V3_set_ctx(&context, x509, x509, nullptr, nullptr, 0);
        const std::string names = "DNS:" + host + ",IP:127.0.0.1";
        for (const auto& [nid, value] : {std::pair{NID_subject_alt_name, names},
                                         std::pair{NID_basic_constraints, std::string("CA:TRUE")}}) {
            X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
            X509_add_ext(x509, extension, -1);
            X509_EXTENSION_free(extension);
        }
        X509_sign(x509, pkey, EVP_sha256());
        FILE* file = std::fopen(out.cert.c_str(), "w");
        PEM_write_X509(file, x509);
        std::fclose(file);
        file = std::fopen(out.key.c_str(), "w");
        PEM_write_PrivateKey(file, pkey, nullptr, nullptr, 0, nullptr, nullptr);
        std::fclose(file);
        X509_free(x509);
        EVP_PKEY_free(pkey);
        return out;
    }
};

inline Async<Response> hello(Request&) { co_return Response::text(200, "hello"); }

/// Answers with what it was sent.
inline Async<Response> echo(Request& request) {
    auto text = co_await read_all(*request.body, 64u << 20);
    if (!text) co_return problem(text.error());
    co_return Response::text(200, *text);
}

/// `size` bytes of a pattern, made on demand; may fail on the way.
struct PatternSource final : Source {
    explicit PatternSource(std::uint64_t count, std::uint64_t failing_at = UINT64_MAX)
        : size(count), fail_at(failing_at) {}
    std::uint64_t size, fail_at;
    std::atomic<std::uint64_t> at = 0; ///< read by tests on other threads
    static std::byte byte_at(std::uint64_t i) { return static_cast<std::byte>(i * 31 + (i >> 8)); }
    Async<Result<std::size_t>> read(std::span<std::byte> into) override {
        if (at >= fail_at) co_return fail(Code::corrupt, "the source failed");
        const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), size - at));
        for (std::size_t i = 0; i < count; ++i) into[i] = byte_at(at + i);
        at += count;
        co_return count;
    }
};

/// Reads to the end without keeping it; the number of bytes, or an error, also where they are not the
/// pattern's.
inline Async<Result<std::uint64_t>> check_pattern(Source& source) {
    std::vector<std::byte> buffer(50'000);
    std::uint64_t at = 0;
    for (;;) {
        CONSIGN_CO_TRY(got, co_await source.read(buffer));
        if (got == 0) co_return at;
        for (std::size_t i = 0; i < got; ++i)
            if (buffer[i] != PatternSource::byte_at(at + i)) co_return fail(Code::corrupt, "a byte differs");
        at += got;
    }
}

} // namespace consign::net::test
