#include "consign/protocol/user_api.hpp"

namespace consign::json {
CONSIGN_USER_API_CODECS(CONSIGN_JSON_INSTANTIATE)
} // namespace consign::json
