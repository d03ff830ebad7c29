#include "call.hpp"
#include "consign/net/backoff.hpp"

namespace consign::oci::aws {

namespace {

constexpr int kAttempts = 3;
constexpr std::size_t kAnswerLimit = 1u << 20;
constexpr auto kPause = std::chrono::milliseconds(200), kLongestPause = std::chrono::milliseconds(2000);
constexpr auto kDeadline = std::chrono::seconds(15);

struct Outcome {
    Result<std::string> result;
    bool transient = false;
};

net::Async<Outcome> once(net::Client& client, const Clock& clock, const ServiceCall& call) {
    auto request = call.request;
    const auto who = request.url.host_header();
    request.max_redirects = 0; // a signature is for one host
    request.response_deadline = kDeadline;
    if (call.credentials) sign(request, *call.credentials, call.scope, clock.now());
    auto response = co_await client.send(std::move(request));
    if (!response) {
        const auto code = response.error().code;
        co_return Outcome{std::unexpected(std::move(response).error()),
                          code == Code::unavailable || code == Code::timed_out};
    }
    auto body = co_await net::read_all(*response->body, kAnswerLimit);
    if (!body || response->ok()) co_return Outcome{std::move(body), !body};
    const auto error =
        call.xml ? read_xml_error(*body) : read_json_error(*body, response->headers.get("x-amzn-ErrorType"));
    co_return Outcome{std::unexpected(to_error(error, response->status, who)),
                      is_transient(error, response->status)};
}

} // namespace

net::Async<Result<std::string>> call_service(net::Client& client, const Clock& clock, ServiceCall call) {
    net::Backoff backoff(kPause, kLongestPause);
    for (int attempt = 1;; ++attempt) {
        auto outcome = co_await once(client, clock, call);
        if (outcome.result || !outcome.transient || attempt == kAttempts || co_await net::cancelled())
            co_return std::move(outcome.result);
        co_await net::sleep_for(backoff.next());
    }
}

} // namespace consign::oci::aws
