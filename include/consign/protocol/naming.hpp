#pragma once
// How repositories of the vendor registry (and, mirrored, of the install registry) are named. The only such
// place.
#include <string>
#include <string_view>

namespace consign::protocol {

inline std::string artifact_repository(std::string_view app, std::string_view component) {
    return std::string(app) + "/" + std::string(component);
}
/// Uploaded source trees of a component.
inline std::string source_repository(std::string_view app, std::string_view component) {
    return artifact_repository(app, component) + "/source";
}

} // namespace consign::protocol
