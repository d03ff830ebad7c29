#pragma once
#include "consign/base/error.hpp"
#include <map>
#include <string>
#include <string_view>

namespace consign::oci::aws {

/// The texts of an XML document's leaf elements by their path ("ErrorResponse/Error/Code"); of several with
/// the same path the first. For the small answers of AWS's query protocol: no document types, no CDATA,
/// namespaces and attributes are passed over, at most 32 levels. invalid_argument says what is wrong where.
Result<std::map<std::string, std::string>> xml_leaves(std::string_view document);

} // namespace consign::oci::aws
