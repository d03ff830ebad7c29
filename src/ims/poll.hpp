#pragma once
#include "routes.hpp"

namespace consign::ims {

/// POST /v1/agent/poll: reconciles what the agent holds, then answers with work, a cancel or a loss at once,
/// or parks.
net::Async<Result<net::Response>> poll(Call& call);

} // namespace consign::ims
