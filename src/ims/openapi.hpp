#pragma once
#include <string>

namespace consign::ims {

/// GET /v1/openapi.json (OpenAPI 3.1): made from the route tables and the fields of the types they name, so
/// that it cannot miss one.
std::string openapi_document(const std::string& version);

} // namespace consign::ims
