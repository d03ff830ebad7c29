#include "consign/protocol/specs.hpp"

namespace consign::json {
CONSIGN_JSON_INSTANTIATE(protocol::ArtifactRef)
CONSIGN_JSON_INSTANTIATE(protocol::BuildSpec)
CONSIGN_JSON_INSTANTIATE(protocol::BuildResult)
CONSIGN_JSON_INSTANTIATE(protocol::ApplySpec)
CONSIGN_JSON_INSTANTIATE(protocol::ApplyResult)
CONSIGN_JSON_INSTANTIATE(protocol::TeardownSpec)
} // namespace consign::json
