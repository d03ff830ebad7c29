#include "consign/base/bytes.hpp"
#include <array>
#include <cstdint>

namespace consign {
namespace {

constexpr std::string_view kStandard = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrlSafe = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t kNone = 0xff;

using Inverse = std::array<std::uint8_t, 256>;

consteval Inverse inverse_of(std::string_view alphabet) {
    Inverse out{};
    out.fill(kNone);
    for (std::size_t i = 0; i < alphabet.size(); ++i)
        out[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
    return out;
}
constexpr Inverse kStandardInverse = inverse_of(kStandard);
constexpr Inverse kUrlSafeInverse = inverse_of(kUrlSafe);

std::string encode(ByteView bytes, std::string_view alphabet) {
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    std::uint32_t buffer = 0;
    unsigned bits = 0;
    for (const std::byte byte : bytes) {
        buffer = (buffer << 8) | std::to_integer<std::uint32_t>(byte);
        for (bits += 8; bits >= 6; bits -= 6) out.push_back(alphabet[(buffer >> (bits - 6)) & 63]);
    }
    if (bits > 0) out.push_back(alphabet[(buffer << (6 - bits)) & 63]);
    return out;
}

// The texts may be secrets: errors name a position, never the text.
std::unexpected<Error> bad(std::string_view kind, std::string_view what, std::size_t position) {
    return fail(Code::invalid_argument, "malformed " + std::string(kind) + ": " + std::string(what) +
                                            " at position " + std::to_string(position));
}

/// Strict: exactly one text decodes to given bytes, so a signature over the text cannot be dodged.
Result<Bytes> decode(std::string_view text, const Inverse& inverse, std::string_view kind) {
    if (text.size() % 4 == 1) return bad(kind, "the text is cut short", text.size());
    Bytes out;
    out.reserve(text.size() * 3 / 4);
    std::uint32_t buffer = 0;
    unsigned bits = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const std::uint8_t value = inverse[static_cast<unsigned char>(text[i])];
        if (value == kNone) return bad(kind, "a character outside the alphabet", i);
        buffer = (buffer << 6) | value;
        if ((bits += 6) >= 8) {
            bits -= 8;
            out.push_back(static_cast<std::byte>((buffer >> bits) & 0xff));
        }
    }
    if (buffer & ((1u << bits) - 1)) return bad(kind, "stray bits", text.size() - 1);
    return out;
}

} // namespace

std::string to_hex(ByteView bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const std::byte byte : bytes) {
        out.push_back(digits[std::to_integer<unsigned>(byte) >> 4]);
        out.push_back(digits[std::to_integer<unsigned>(byte) & 15]);
    }
    return out;
}

Result<Bytes> from_hex(std::string_view text) {
    if (text.size() % 2 != 0) return bad("hex", "an odd number of digits, the last", text.size() - 1);
    const auto digit = [](char c) {
        if (c >= '0' && c <= '9') return c - '0';
        if (c >= 'a' && c <= 'f') return c - 'a' + 10;
        if (c >= 'A' && c <= 'F') return c - 'A' + 10;
        return -1;
    };
    Bytes out;
    out.reserve(text.size() / 2);
    for (std::size_t i = 0; i < text.size(); i += 2) {
        const int high = digit(text[i]);
        const int low = digit(text[i + 1]);
        if (high < 0 || low < 0) return bad("hex", "not a hex digit", high < 0 ? i : i + 1);
        out.push_back(static_cast<std::byte>(high * 16 + low));
    }
    return out;
}

std::string to_base64(ByteView bytes) {
    std::string out = encode(bytes, kStandard);
    out.append((4 - out.size() % 4) % 4, '=');
    return out;
}

Result<Bytes> from_base64(std::string_view text) {
    if (text.size() % 4 != 0) return bad("base64", "the length is not a multiple of 4, the end", text.size());
    for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
    return decode(text, kStandardInverse, "base64");
}

std::string to_base64url(ByteView bytes) { return encode(bytes, kUrlSafe); }

Result<Bytes> from_base64url(std::string_view text) { return decode(text, kUrlSafeInverse, "base64url"); }

} // namespace consign
