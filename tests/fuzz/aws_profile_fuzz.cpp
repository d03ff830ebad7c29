#include "oci/aws/profile_file.hpp"
#include <cstdint>
#include <cstdlib>

using namespace consign::oci::aws;

namespace {

/// As a file that means the same.
std::string written(const Profiles& profiles) {
    std::string out;
    for (const auto& [name, profile] : profiles) {
        out += "[profile \"" + name + "\"]\n";
        for (const auto& [setting, value] : profile) {
            out += setting + "="; // a space would make a leading '#' a comment
            for (const char c : value) out += c == '\n' ? std::string("\n ") : std::string(1, c);
            out += "\n";
        }
    }
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    (void)parse_profiles(input, ProfileFileKind::credentials, "credentials");
    const auto profiles = parse_profiles(input, ProfileFileKind::config, "config");
    if (!profiles) return 0;
    const auto again = parse_profiles(written(*profiles), ProfileFileKind::config, "again");
    if (!again || *again != *profiles) std::abort();
    return 0;
}
