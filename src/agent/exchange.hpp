#pragma once
#include "consign/net/client.hpp"

namespace consign::agent {

/// One answer of an IMS, read to its end.
struct Exchange {
    int status = 0;
    std::string content_type;
    std::string body;
    std::optional<std::chrono::seconds> retry_after; ///< bounded: a server cannot silence an agent for a day

    bool ok() const { return status >= 200 && status < 300; }
    bool is_problem() const { return content_type.starts_with("application/problem+json"); }
};

/// Sends and reads the answer. Any HTTP status is a value.
net::Async<Result<Exchange>> exchange(net::Client& http, net::ClientRequest request);

/// The Error a non-2xx answer stands for. An IMS answers with problem documents only; anything else came from
/// a proxy in front of it or from another program, says nothing about this agent, and becomes `unavailable`.
Error error_of(const Exchange& answer, const net::Url& asked);

/// Whether trying again later may help: the other side is away, busy or broken, not of another opinion.
bool may_pass(Code code);

} // namespace consign::agent
