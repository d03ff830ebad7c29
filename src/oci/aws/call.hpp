#pragma once
#include "answers.hpp"
#include "consign/net/client.hpp"
#include "sigv4.hpp"

namespace consign::oci::aws {

/// One call of an AWS service, its answer small.
struct ServiceCall {
    net::ClientRequest request; ///< unsigned, its body a string
    SigningScope scope;
    const Credentials* credentials = nullptr; ///< null: it goes unsigned
    bool xml = false;                         ///< the query protocol; otherwise JSON
};

/// Sends it, up to three times while the failure may pass (no connection, throttling, 5xx), each time with a
/// fresh signature. The body of a 2xx answer; what the service refuses is an Error that names service, kind
/// and reason.
net::Async<Result<std::string>> call_service(net::Client& client, const Clock& clock, ServiceCall call);

} // namespace consign::oci::aws
