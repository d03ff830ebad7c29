#include "net/tls.hpp"
#include <arpa/inet.h>
#include <csignal>
#include <openssl/err.h>
#include <openssl/x509v3.h>

namespace consign::net {

namespace {
constexpr const char* kSystemBundle = "/etc/ssl/certs/ca-certificates.crt";

std::string last_reason() {
    const unsigned long code = ERR_peek_last_error();
    ERR_clear_error();
    if (code == 0) return "unknown reason";
    const char* reason = ERR_reason_error_string(code);
    return reason ? reason : "error " + std::to_string(code);
}

Result<TlsContext> make_context(const SSL_METHOD* method) {
    TlsContext context(SSL_CTX_new(method));
    if (!context) return fail(Code::internal, "cannot set up TLS: " + last_reason());
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    // RELEASE_BUFFERS: an idle connection gives its 34 KiB of record buffers back.
    SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return context;
}

bool is_address(const std::string& host) {
    unsigned char buffer[sizeof(in6_addr)];
    return inet_pton(AF_INET, host.c_str(), buffer) == 1 || inet_pton(AF_INET6, host.c_str(), buffer) == 1;
}
} // namespace

Result<TlsContext> make_server_tls(const std::string& certificate_file, const std::string& key_file) {
    CONSIGN_TRY(context, make_context(TLS_server_method()));
    // Agents keep their connections for days and do not resume sessions: tickets would cost a write buffer
    // of 16 KiB at the client that reads them, and a key to rotate here.
    SSL_CTX_set_num_tickets(context.get(), 0);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET);
    if (SSL_CTX_use_certificate_chain_file(context.get(), certificate_file.c_str()) != 1)
        return fail(Code::invalid_argument,
                    "cannot use the TLS certificate " + certificate_file + ": " + last_reason(),
                    "it must be readable PEM, the server's certificate first");
    if (SSL_CTX_use_PrivateKey_file(context.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1)
        return fail(Code::invalid_argument, "cannot use the TLS key " + key_file + ": " + last_reason(),
                    "it must be readable PEM, without a passphrase, and belong to " + certificate_file);
    if (SSL_CTX_check_private_key(context.get()) != 1)
        return fail(Code::invalid_argument,
                    "the TLS key " + key_file + " does not belong to " + certificate_file);
    return std::move(context);
}

Result<TlsContext> make_client_tls(const std::string& ca_file, bool verify) {
    CONSIGN_TRY(context, make_context(TLS_client_method()));
    SSL_CTX_set_verify(context.get(), verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    if (!verify) return std::move(context);
    const std::string file = ca_file.empty() ? kSystemBundle : ca_file;
    if (SSL_CTX_load_verify_locations(context.get(), file.c_str(), nullptr) != 1)
        return fail(Code::invalid_argument,
                    "cannot load certificate authorities from " + file + ": " + last_reason(),
                    ca_file.empty() ? "install ca-certificates, or name a CA file"
                                    : "the file must hold PEM certificates");
    return std::move(context);
}

Result<TlsSession> new_session(SSL_CTX* context) {
    TlsSession session(SSL_new(context));
    if (!session) return fail(Code::internal, "cannot set up a TLS session: " + last_reason());
    return session;
}

Result<void> expect_host(SSL* ssl, const std::string& host, bool verify) {
    bool ok = true;
    if (is_address(host)) {
        if (verify) ok = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
    } else {
        ok = SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
        if (verify) ok = ok && SSL_set1_host(ssl, host.c_str()) == 1;
    }
    if (!ok) return fail(Code::invalid_argument, "'" + host + "' is not a host name TLS can check");
    return {};
}

Error tls_error(SSL* ssl, std::string_view doing) {
    const long verdict = SSL_get_verify_result(ssl);
    const std::string reason = last_reason();
    if (SSL_is_server(ssl) || verdict == X509_V_OK || SSL_is_init_finished(ssl))
        return {Code::unavailable, std::string(doing) + ": " + reason};
    // Not unauthenticated: it is the server that cannot show who it is, and that may pass.
    Error error{Code::unavailable,
                std::string(doing) + ": certificate refused: " + X509_verify_cert_error_string(verdict)};
    switch (verdict) {
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        error.hint = "name the CA that signed the server's certificate: --ca-file FILE";
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        error.hint = "check the clocks of both machines";
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        error.hint = "renew the server's certificate, and check the clocks of both machines";
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        error.hint = "use a host name that the server's certificate carries";
        break;
    default:
        break;
    }
    return error;
}

void ignore_sigpipe() {
    // Only where nobody decided otherwise: an embedding program's own handler stays.
    static const bool once = [] {
        struct sigaction current{};
        if (sigaction(SIGPIPE, nullptr, &current) == 0 && current.sa_handler == SIG_DFL)
            std::signal(SIGPIPE, SIG_IGN);
        return true;
    }();
    static_cast<void>(once);
}

} // namespace consign::net
