#pragma once
#include <filesystem>
#include <string>
#include <string_view>

namespace consign::install {

/// Where everything of one component lives: DATA/components/<component>/. Teardown removes all of it.
struct ComponentPaths {
    std::filesystem::path home; ///< absolute

    std::filesystem::path state() const { return home / "state.json"; }
    std::filesystem::path releases() const { return home / "releases"; }
    std::filesystem::path release(std::string_view name) const { return releases() / name; }
    std::filesystem::path current() const { return home / "current"; } ///< link to the release that runs
    std::filesystem::path data() const { return home / "data"; }       ///< survives updates
    std::filesystem::path service_log() const { return home / "logs" / "service.log"; }
    std::filesystem::path service_lock() const { return home / "service.lock"; }
    std::filesystem::path command_lock() const { return home / "command.lock"; }
    std::filesystem::path service_record() const { return home / "service.pid"; }
};

/// Starts the names of directories whose component is torn down; no component's name begins with a dot.
inline constexpr std::string_view kRemovedPrefix = ".removed-";

inline std::filesystem::path components_directory(const std::filesystem::path& data) {
    return data / "components";
}
inline ComponentPaths paths_of(const std::filesystem::path& data, std::string_view component) {
    return {components_directory(data) / component};
}

} // namespace consign::install
