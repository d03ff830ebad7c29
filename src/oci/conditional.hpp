#pragma once
#include <string_view>

namespace consign::oci {

/// Whether an If-None-Match field names `etag`, or any by "*": the answer is 304 then. Compares weakly, so
/// that a proxy that made the tag weak on its way does no harm (RFC 9110 sections 13.1.2 and 8.8.3.2).
bool if_none_match(std::string_view field, std::string_view etag);

/// Whether a Range may be applied: If-Range is not sent, or names exactly `etag` (RFC 9110 section 13.1.5). A
/// date is never right, as nothing here has one.
bool if_range(std::string_view field, std::string_view etag);

} // namespace consign::oci
