#include "consign/protocol/registry_api.hpp"

namespace consign::json {
CONSIGN_REGISTRY_API_CODECS(CONSIGN_JSON_INSTANTIATE)
} // namespace consign::json
