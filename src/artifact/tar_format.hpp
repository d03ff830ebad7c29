#pragma once
// The tar blocks of POSIX.1-2017 (pax, "ustar Interchange Format"), as docs/artifact-format.md fixes them for
// writing, and as far as we accept them for reading.
#include "consign/base/bytes.hpp"
#include <array>
#include <cstdint>
#include <optional>

namespace consign::artifact {

inline constexpr std::size_t kTarBlock = 512;
inline constexpr std::int64_t kMtimeLimit = 077777777777; ///< what the 11 octal digits hold, year 2242
using TarBlock = std::array<char, kTarBlock>;

/// Bytes from the end of `size` bytes of content to the next block.
constexpr std::size_t padding_after(std::uint64_t size) { return (kTarBlock - size % kTarBlock) % kTarBlock; }

enum class EntryKind { file, directory, symlink };

struct TarEntry {
    EntryKind kind = EntryKind::file;
    std::string name; ///< relative, without a slash at the end
    std::string link_target = {};
    std::uint64_t size = 0; ///< of a file's content
    bool executable = false;
};

/// The header blocks of an entry: one, or three and more where a pax header has to come first.
std::string encode_header(const TarEntry& entry, std::int64_t mtime_s);

/// One header block as it stands.
struct TarHeader {
    std::string name;
    std::string link_target;
    char type = '0';
    std::uint64_t mode = 0;
    std::uint64_t size = 0;
};
/// corrupt: wrong checksum or magic, or a malformed number.
Result<TarHeader> decode_header(const TarBlock& block);
bool is_zero(const TarBlock& block);

/// What a pax extended header changes in the entry after it. corrupt when malformed; unsupported for a key
/// that would change what the content means (sparse files, extended attributes).
struct PaxHeader {
    std::optional<std::string> path, link_target;
    std::optional<std::uint64_t> size;
};
Result<PaxHeader> decode_pax(std::string_view records);

} // namespace consign::artifact
