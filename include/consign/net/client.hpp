#pragma once
#include "consign/net/http.hpp"
#include "consign/net/url.hpp"

namespace consign::net {

struct ClientOptions {
    std::string ca_file = {};          ///< PEM; empty: the system's bundle, loaded on first use
    bool insecure_skip_verify = false; ///< tests only
    std::chrono::milliseconds connect_deadline =
        std::chrono::seconds(10);                                     ///< resolve, connect and TLS handshake
    std::chrono::milliseconds io_deadline = std::chrono::seconds(60); ///< no progress, either way
    std::size_t idle_per_origin = 8;
    std::chrono::milliseconds idle_for = std::chrono::seconds(30);
    std::string user_agent = "consign";
};

struct ClientRequest {
    Verb verb = Verb::get;
    Url url;
    Headers headers = {};
    Body body = std::string{}; ///< a StreamBody cannot be sent again: no retry, no redirect
    /// For the response's head; long polls need more than the default.
    std::chrono::milliseconds response_deadline = std::chrono::seconds(60);
    int max_redirects = 5; ///< Authorization and Cookie are dropped when the origin changes
};

struct ClientResponse {
    int status = 0;
    Headers headers;
    std::optional<std::uint64_t> content_length;
    std::unique_ptr<Source> body; ///< destroying it unread closes the connection
    Url url;                      ///< after redirects

    bool ok() const { return status >= 200 && status < 300; }
};

/// HTTP/1.1 client with a pool per origin. A request that dies on a reused connection before a byte of the
/// answer came, and whose body can be sent again, is tried once more on a fresh one; other retries are the
/// caller's. Use it on one executor's thread only.
class Client {
  public:
    Client(Executor executor, ClientOptions options = {});
    ~Client();

    /// Errors: unavailable (cannot resolve, connect, or the connection broke: names host and port and what to
    /// check), timed_out, unauthenticated (TLS: names why the certificate was refused), cancelled.
    /// Any HTTP status is a value, not an error.
    Async<Result<ClientResponse>> send(ClientRequest request);
    /// send() and read_all(); non-2xx becomes the Error that the problem body describes.
    Async<Result<std::string>> fetch_text(ClientRequest request, std::size_t limit_bytes = 4u << 20);
    Executor executor() const;

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

} // namespace consign::net
