#include "cli/text.hpp"
#include <algorithm>
#include <cstdint>
#include <iterator>

namespace consign::cli {
namespace {

struct Decoded {
    char32_t code = 0xFFFD;
    std::size_t size = 1; ///< bytes; 1 for a byte that begins nothing
    bool valid = false;
};

std::size_t length_by_lead(unsigned char lead) {
    if (lead < 0x80) return 1;
    if (lead >= 0xC2 && lead <= 0xDF) return 2;
    if (lead >= 0xE0 && lead <= 0xEF) return 3;
    if (lead >= 0xF0 && lead <= 0xF4) return 4;
    return 0;
}

Decoded decode(std::string_view text) {
    const auto lead = static_cast<unsigned char>(text.front());
    const auto size = length_by_lead(lead);
    if (size == 0 || size > text.size()) return {};
    if (size == 1) return {lead, 1, true};
    char32_t code = lead & (0x7Fu >> size);
    for (std::size_t i = 1; i < size; ++i) {
        const auto next = static_cast<unsigned char>(text[i]);
        if ((next & 0xC0u) != 0x80u) return {};
        code = (code << 6) | (next & 0x3Fu);
    }
    constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < kSmallest[size] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return {};
    return {code, size, true};
}

struct Range {
    char32_t first, last;
};
template <std::size_t N>
bool within(const Range (&ranges)[N], char32_t code) {
    return std::ranges::any_of(
        ranges, [code](const Range& range) { return code >= range.first && code <= range.last; });
}

// Controls, and what reorders or hides text around it (Unicode TR 36, section 3.1).
constexpr Range kUnsafe[] = {{0, 0x1F},        {0x7F, 0x9F},     {0x200E, 0x200F},
                             {0x2028, 0x202E}, {0x2066, 0x2069}, {0xFEFF, 0xFEFF}};
// The blocks that matter in names and logs, not all of Unicode.
constexpr Range kZeroWidth[] = {{0x300, 0x36F}, {0x200B, 0x200D}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}};
constexpr Range kWide[] = {{0x1100, 0x115F},   {0x2E80, 0xA4CF},   {0xAC00, 0xD7A3},  {0xF900, 0xFAFF},
                           {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},  {0x1F300, 0x1F64F},
                           {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};

std::size_t width_of(char32_t code) {
    if (within(kZeroWidth, code)) return 0;
    return within(kWide, code) ? 2 : 1;
}

} // namespace

std::string printable(std::string_view text, bool keep_lines) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const auto at = decode(text);
        const bool kept_line = keep_lines && (at.code == '\n' || at.code == '\t');
        if (!at.valid)
            out += "\uFFFD";
        else if (kept_line || !within(kUnsafe, at.code))
            out += text.substr(0, at.size);
        else if (!keep_lines && (at.code == '\n' || at.code == '\t'))
            out += ' ';
        text.remove_prefix(at.size);
    }
    return out;
}

std::size_t display_width(std::string_view text) {
    std::size_t width = 0;
    while (!text.empty()) {
        const auto at = decode(text);
        width += width_of(at.code);
        text.remove_prefix(at.size);
    }
    return width;
}

std::string fit_width(std::string_view text, std::size_t columns) {
    if (display_width(text) <= columns) return std::string(text);
    if (columns == 0) return {};
    std::size_t width = 0, bytes = 0;
    while (bytes < text.size()) {
        const auto at = decode(text.substr(bytes));
        if (width + width_of(at.code) > columns - 1) break;
        width += width_of(at.code);
        bytes += at.size;
    }
    return std::string(text.substr(0, bytes)) + "…";
}

std::size_t incomplete_tail(std::string_view text) {
    for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
        const auto byte = static_cast<unsigned char>(text[text.size() - back]);
        if ((byte & 0xC0u) == 0x80u) continue;
        return length_by_lead(byte) > back ? back : 0;
    }
    return 0;
}

} // namespace consign::cli
