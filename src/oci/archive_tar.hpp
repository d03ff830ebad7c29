#pragma once
// As much of tar as an OCI archive needs (POSIX.1-2017 pax and ustar, and the GNU extensions that other tools
// write). artifact/tar_format.hpp is stricter, and another layer's: layers of components are held to one
// format, while these archives come from everybody.
#include "consign/base/bytes.hpp"
#include "consign/base/file.hpp"
#include <map>

namespace consign::oci {

inline constexpr std::size_t kTarBlock = 512;

/// The header of a file or, with a '/' at the end of its name, a directory. Names have at most 100 bytes.
std::string tar_header(std::string_view name, std::uint64_t size);
constexpr std::size_t tar_padding(std::uint64_t size) {
    return static_cast<std::size_t>((kTarBlock - size % kTarBlock) % kTarBlock);
}

struct TarSpan {
    std::uint64_t offset = 0, size = 0; ///< of the content, in the file
};
/// Where the regular files of a tar are, by name, without "./" in front. Reads headers only. Blocks.
Result<std::map<std::string, TarSpan>> index_tar(int file, const std::filesystem::path& named);

} // namespace consign::oci
