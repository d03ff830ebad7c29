#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace consign::oci {

/// One challenge of a WWW-Authenticate field (RFC 9110 section 11.6.1). Scheme and parameter names in lower
/// case.
struct Challenge {
    std::string scheme;
    std::map<std::string, std::string> parameters;
    std::string token68; ///< instead of parameters, as "Negotiate" has it
    bool operator==(const Challenge&) const = default;
};

/// All challenges of one field value; what is malformed ends the list, what came before it stays.
std::vector<Challenge> parse_challenges(std::string_view field);
std::string to_string(const Challenge& challenge);
/// RFC 9110 section 5.6.4; control characters, which no field may carry, are left out.
std::string quoted_string(std::string_view text);

} // namespace consign::oci
