#pragma once
// ~/.aws/config and ~/.aws/credentials (AWS SDKs and Tools Reference Guide, "Shared config and credentials
// files").
#include "consign/base/error.hpp"
#include <map>
#include <string>
#include <string_view>

namespace consign::oci::aws {

using Profile = std::map<std::string, std::string>; ///< setting → value, settings in lower case
using Profiles = std::map<std::string, Profile>;    ///< by name

/// Sections of the config file are [default] and [profile NAME], of the credentials file [NAME]. Sections
/// that are no profile ([sso-session …], [services …]) and nested settings ("s3 =" and indented lines) are
/// passed over.
enum class ProfileFileKind { config, credentials };

/// `name` is for messages. invalid_argument names the line. A profile that stands there twice is merged, the
/// later value of a setting counts.
Result<Profiles> parse_profiles(std::string_view text, ProfileFileKind kind, std::string_view name);

} // namespace consign::oci::aws
