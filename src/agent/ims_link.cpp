#include "agent/ims_link.hpp"

namespace consign::agent {

ImsLink::ImsLink(net::Client& http, net::Url ims, Credentials& credentials)
    : http_(http), ims_(std::move(ims)), credentials_(credentials) {}

net::Async<Result<Exchange>> ImsLink::send(Call call) {
    for (bool renewed = false;; renewed = true) {
        CONSIGN_CO_TRY(token, co_await credentials_.token());
        net::ClientRequest request{.verb = call.verb, .url = ims_};
        request.url.target += call.path;
        request.response_deadline = call.deadline;
        request.headers.set("Authorization", "Bearer " + token);
        if (call.epoch) request.headers.set(protocol::kLeaseHeader, std::to_string(*call.epoch));
        if (!call.body.empty()) request.headers.set("Content-Type", call.content_type);
        request.body = call.body;

        CONSIGN_CO_TRY(answer, co_await exchange(http_, std::move(request)));
        if (answer.status != 401 || renewed) co_return std::move(answer);
        credentials_.refuse(token);
        if (co_await net::cancelled()) co_return fail(Code::cancelled, "the request was cancelled");
    }
}

net::Async<Result<std::string>> ImsLink::text(Call call) {
    net::Url asked = ims_;
    asked.target += call.path;
    CONSIGN_CO_TRY(answer, co_await send(std::move(call)));
    if (!answer.ok()) co_return std::unexpected(error_of(answer, asked));
    co_return std::move(answer.body);
}

} // namespace consign::agent
