#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace consign::oci {

struct ByteRange {
    std::uint64_t first = 0, size = 0;
};
enum class RangeKind { whole, part, unsatisfiable };

/// A Range field with one range (RFC 9110 section 14.2) over `total` bytes. Several ranges, or another unit,
/// count as none: the whole is a correct answer to those.
RangeKind parse_range(std::string_view field, std::uint64_t total, ByteRange& out);

/// "first-last" of an upload's chunk (distribution-spec, "Pushing a blob in chunks"), also with "bytes " in
/// front.
std::optional<ByteRange> parse_chunk_range(std::string_view field);

} // namespace consign::oci
