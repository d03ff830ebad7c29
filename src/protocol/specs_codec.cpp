#include "consign/protocol/specs.hpp"

namespace consign::json {
CONSIGN_SPEC_CODECS(CONSIGN_JSON_INSTANTIATE)
} // namespace consign::json
