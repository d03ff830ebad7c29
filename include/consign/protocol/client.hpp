#pragma once
#include "consign/base/secret.hpp"
#include "consign/net/client.hpp"
#include "consign/protocol/user_api.hpp"

namespace consign::protocol {

/// Gives the bearer token for the next call; empty: none.
using TokenSource = std::function<net::Async<Result<std::string>>()>;

struct CallOptions {
    std::optional<std::int64_t> epoch = {};                        ///< sent as Consign-Lease
    std::chrono::milliseconds deadline = std::chrono::seconds(30); ///< for the answer's head
};

/// One IMS, typed. Use it on the executor of its net::Client.
class ApiClient {
  public:
    ApiClient(net::Client& http, net::Url base, TokenSource token);

    /// Sends `body` as JSON (none for a null) and decodes the answer. A problem becomes its Error.
    template <class Answer, class Body = std::nullptr_t>
    net::Async<Result<Answer>> call(net::Verb verb, std::string path, Body body = {},
                                    CallOptions options = {}) {
        std::string text;
        if constexpr (!std::same_as<Body, std::nullptr_t>) text = json::to_text(body);
        auto answer = co_await send(verb, std::move(path), std::move(text), "application/json", options);
        if (!answer) co_return std::unexpected(std::move(answer).error());
        co_return json::decode_text<Answer>(answer->empty() ? std::string_view("{}")
                                                            : std::string_view(*answer));
    }
    template <class Answer>
    net::Async<Result<Answer>> get(std::string path, CallOptions options = {}) {
        return call<Answer>(net::Verb::get, std::move(path), nullptr, options);
    }

    /// The raw exchange: the body of a 2xx answer ("" for 204), or the Error of a problem.
    net::Async<Result<std::string>> send(net::Verb verb, std::string path, std::string body,
                                         std::string content_type, CallOptions options = {});
    const net::Url& base() const { return base_; }
    net::Client& http() { return http_; }
    const TokenSource& token() const { return token_; }

  private:
    net::Client& http_;
    net::Url base_;
    TokenSource token_;
};

/// An answer without a body of interest.
struct Empty {
    static constexpr auto fields(auto&, auto&&) {}
};

} // namespace consign::protocol
