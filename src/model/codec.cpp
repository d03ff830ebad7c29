#include "consign/model/app_config.hpp"

namespace consign::json {
CONSIGN_MODEL_CODECS(CONSIGN_JSON_INSTANTIATE)
} // namespace consign::json
