#pragma once
#include "consign/net/url.hpp"

namespace consign::protocol {

/// The URL of the vendor registry as an IMS at `ims` gave it. Credentials follow it, so an IMS that is
/// reached over https cannot send them out in the clear: permission_denied for an http registry then.
Result<net::Url> vendor_registry(std::string_view given, const net::Url& ims);

} // namespace consign::protocol
