#pragma once
#include "consign/net/server.hpp"

namespace consign::oci {

/// What a request was about: the spec has a code for each ("manifest unknown", "blob unknown", …).
enum class Subject { name, manifest, content, blob, upload }; ///< content: what a pushed manifest names

/// {"errors":[{code,message,detail}]} (distribution-spec 1.1, "Error Codes").
net::Response error_response(const Error& error, Subject subject);
net::Response error_response(int status, std::string_view code, const Error& error);

/// The inverse, for clients: `who` names the registry in the message.
Error error_from_registry(int status, std::string_view content_type, std::string_view body,
                          std::string_view who);

} // namespace consign::oci
