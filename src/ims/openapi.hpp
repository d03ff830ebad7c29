#pragma once
#include <string>

namespace consign::ims {

/// GET /v1/openapi.json: made from the route tables, so it cannot miss one.
std::string openapi_document(const std::string& version);

} // namespace consign::ims
