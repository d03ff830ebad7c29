#include "agent/exchange.hpp"
#include "consign/net/server.hpp"
#include <algorithm>
#include <charconv>

namespace consign::agent {
namespace {

constexpr std::size_t kAnswerLimitBytes = 16u << 20; // leases of every slot with their specs
constexpr std::chrono::seconds kLongestRetryAfter{300};

std::optional<std::chrono::seconds> retry_after(std::string_view text) {
    int seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error != std::errc{} || end != text.data() + text.size() || seconds < 0) return std::nullopt;
    return std::min(std::chrono::seconds(seconds), kLongestRetryAfter);
}

} // namespace

net::Async<Result<Exchange>> exchange(net::Client& http, net::ClientRequest request) {
    CONSIGN_CO_TRY(response, co_await http.send(std::move(request)));
    Exchange answer{.status = response.status,
                    .content_type = std::string(response.headers.get("Content-Type")),
                    .body = {},
                    .retry_after = retry_after(response.headers.get("Retry-After"))};
    CONSIGN_CO_TRY(body, co_await net::read_all(*response.body, kAnswerLimitBytes));
    answer.body = std::move(body);
    co_return answer;
}

Error error_of(const Exchange& answer, const net::Url& asked) {
    Error error = net::error_from(answer.status, answer.content_type, answer.body);
    if (answer.is_problem()) return error;
    return {Code::unavailable, asked.str() + " answered " + error.message + ", which no IMS sends",
            "check the URL of the IMS and the proxy in front of it"};
}

bool may_pass(Code code) {
    switch (code) {
    case Code::unavailable:
    case Code::timed_out:
    case Code::rate_limited:
    case Code::internal:
    case Code::storage_full:
    case Code::unauthenticated: // the poll loop finds out whether it is for good, and ends the process
        return true;
    default:
        return false;
    }
}

} // namespace consign::agent
