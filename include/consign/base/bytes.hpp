#pragma once
#include "consign/base/error.hpp"
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace consign {

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;

inline ByteView as_bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }
inline std::string_view as_text(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string to_hex(ByteView bytes); ///< lower case
Result<Bytes> from_hex(std::string_view text);

std::string to_base64(ByteView bytes); ///< RFC 4648 section 4, padded
Result<Bytes> from_base64(std::string_view text);

std::string to_base64url(ByteView bytes); ///< RFC 4648 section 5, unpadded (as JWTs have it)
Result<Bytes> from_base64url(std::string_view text);

} // namespace consign
