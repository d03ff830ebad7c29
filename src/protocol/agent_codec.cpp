#include "consign/protocol/agent_api.hpp"

namespace consign::json {
CONSIGN_JSON_INSTANTIATE(protocol::EnrollRequest)
CONSIGN_JSON_INSTANTIATE(protocol::EnrollResponse)
CONSIGN_JSON_INSTANTIATE(protocol::TokenResponse)
CONSIGN_JSON_INSTANTIATE(protocol::PollRequest)
CONSIGN_JSON_INSTANTIATE(protocol::Lease)
CONSIGN_JSON_INSTANTIATE(protocol::PollResponse)
CONSIGN_JSON_INSTANTIATE(protocol::RenewResponse)
CONSIGN_JSON_INSTANTIATE(protocol::StepReport)
CONSIGN_JSON_INSTANTIATE(protocol::StepsRequest)
CONSIGN_JSON_INSTANTIATE(protocol::LogPosition)
CONSIGN_JSON_INSTANTIATE(protocol::CompleteRequest)
CONSIGN_JSON_INSTANTIATE(protocol::PullToken)
} // namespace consign::json
