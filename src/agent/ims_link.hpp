#pragma once
#include "agent/credentials.hpp"

namespace consign::agent {

/// One request to the IMS.
struct Call {
    net::Verb verb = net::Verb::post;
    std::string path; ///< "/v1/…"
    std::string body = {};
    std::string content_type = "application/json";
    std::optional<std::int64_t> epoch = {}; ///< sent as Consign-Lease
    std::chrono::milliseconds deadline = std::chrono::seconds(30);
};

/// The way to the IMS as this agent. Beside protocol::ApiClient because an agent needs what that hides:
/// Retry-After, the body of a 409, and a new token when the old one is refused. On the executor of its
/// client.
class ImsLink {
  public:
    ImsLink(net::Client& http, net::Url ims, Credentials& credentials);

    /// The answer, whatever its status; a refused token is renewed once.
    net::Async<Result<Exchange>> send(Call call);
    /// The answer of a 2xx, or the Error of anything else.
    net::Async<Result<std::string>> text(Call call);
    template <class Answer>
    net::Async<Result<Answer>> call(Call request) {
        auto body = co_await text(std::move(request));
        if (!body) co_return std::unexpected(std::move(body).error());
        auto answer = json::decode_text<Answer>(*body);
        // A 2xx that is not what was asked for is another program's, a captive portal's say, and may pass.
        if (!answer) co_return fail(Code::unavailable, "no IMS answers so: " + answer.error().message);
        co_return answer;
    }
    const net::Url& url() const { return ims_; }
    Credentials& credentials() { return credentials_; }

  private:
    net::Client& http_;
    net::Url ims_;
    Credentials& credentials_;
};

} // namespace consign::agent
