#include "consign/protocol/agent_api.hpp"

namespace consign::json {
CONSIGN_AGENT_API_CODECS(CONSIGN_JSON_INSTANTIATE)
} // namespace consign::json
