#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace consign::oci {

/// A path below /v2 (distribution-spec 1.1, "Endpoints"), taken apart from its end: names contain slashes.
struct RegistryPath {
    enum class Kind { base, catalog, tags, manifest, blob, uploads, upload, referrers };
    Kind kind = Kind::base;
    std::string repository; ///< as it stands in the path; the caller checks is_repository_name()
    std::string reference;  ///< tag, digest or upload id, percent-decoded
    bool operator==(const RegistryPath&) const = default;

    /// nullopt: no endpoint has this shape.
    static std::optional<RegistryPath> parse(std::string_view path);
};
std::string to_string(const RegistryPath& path);

} // namespace consign::oci
