#include "consign/protocol/registry_api.hpp"

namespace consign::json {
CONSIGN_JSON_INSTANTIATE(protocol::RegistryGcRequest)
CONSIGN_JSON_INSTANTIATE(protocol::RegistryGcReport)
CONSIGN_JSON_INSTANTIATE(protocol::RegistryScrubRequest)
CONSIGN_JSON_INSTANTIATE(protocol::RegistryScrubReport)
CONSIGN_JSON_INSTANTIATE(protocol::RegistryUsage)
CONSIGN_JSON_INSTANTIATE(protocol::RegistryRepositoryUsage)
CONSIGN_JSON_INSTANTIATE(protocol::RegistrySettingsRequest)
} // namespace consign::json
