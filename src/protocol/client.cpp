#include "consign/protocol/client.hpp"
#include "consign/net/server.hpp"

namespace consign::protocol {
namespace {
constexpr std::size_t kAnswerLimitBytes = 64u << 20; // a page of logs or events, never an artifact
}

ApiClient::ApiClient(net::Client& http, net::Url base, TokenSource token)
    : http_(http), base_(std::move(base)), token_(std::move(token)) {
    while (base_.target.ends_with('/')) base_.target.pop_back();
}

net::Async<Result<std::string>> ApiClient::send(net::Verb verb, std::string path, std::string body,
                                                std::string content_type, CallOptions options) {
    net::ClientRequest request{.verb = verb, .url = base_};
    request.url.target = base_.target + path;
    request.response_deadline = options.deadline;
    if (token_) {
        CONSIGN_CO_TRY(token, co_await token_());
        if (!token.empty()) request.headers.set("Authorization", "Bearer " + token);
    }
    if (options.epoch) request.headers.set(kLeaseHeader, std::to_string(*options.epoch));
    if (!body.empty()) request.headers.set("Content-Type", std::move(content_type));
    request.body = std::move(body);

    CONSIGN_CO_TRY(response, co_await http_.send(std::move(request)));
    CONSIGN_CO_TRY(text, co_await net::read_all(*response.body, kAnswerLimitBytes));
    if (!response.ok())
        co_return std::unexpected(
            net::error_from(response.status, response.headers.get("Content-Type"), text));
    co_return std::move(text);
}

} // namespace consign::protocol
