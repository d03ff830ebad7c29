#pragma once
// OpenSSL directly on the socket: a parked TLS connection costs 17 KiB instead of asio::ssl's 71.
#include "consign/base/error.hpp"
#include <memory>
#include <openssl/ssl.h>
#include <string>

namespace consign::net {

struct TlsFree {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using TlsSession = std::unique_ptr<SSL, TlsFree>;
using TlsContext = std::unique_ptr<SSL_CTX, TlsFree>;

/// PEM files, blocking: at start only.
Result<TlsContext> make_server_tls(const std::string& certificate_file, const std::string& key_file);
/// `ca_file` empty: the system's bundle, about 50 ms.
Result<TlsContext> make_client_tls(const std::string& ca_file, bool verify);

Result<TlsSession> new_session(SSL_CTX* context);
/// SNI and the name or address that the certificate must carry.
Result<void> expect_host(SSL* ssl, const std::string& host, bool verify);

/// Why OpenSSL's last call on this thread failed, and for a refused certificate, why and what to do.
Error tls_error(SSL* ssl, std::string_view doing);

/// sendfile(2) has no MSG_NOSIGNAL: a peer that hung up must not end the process.
void ignore_sigpipe();

} // namespace consign::net
