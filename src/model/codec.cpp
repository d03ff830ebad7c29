#include "consign/model/app_config.hpp"

namespace consign::json {
CONSIGN_JSON_INSTANTIATE(model::Input)
CONSIGN_JSON_INSTANTIATE(model::Source)
CONSIGN_JSON_INSTANTIATE(model::HealthProbe)
CONSIGN_JSON_INSTANTIATE(model::BundleRun)
CONSIGN_JSON_INSTANTIATE(model::Component)
CONSIGN_JSON_INSTANTIATE(model::AppConfig)
CONSIGN_JSON_INSTANTIATE(model::Fault)
} // namespace consign::json
