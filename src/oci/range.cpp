#include "range.hpp"
#include <algorithm>
#include <charconv>
#include <limits>

namespace consign::oci {

namespace {

std::optional<std::uint64_t> number(std::string_view text) {
    std::uint64_t out = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return out;
}

/// A number of a Range, where more digits than fit just mean "further than any blob" (RFC 9110 section 14.1.1 sets
/// no limit).
std::optional<std::uint64_t> position(std::string_view text) {
    if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
    return number(text).value_or(std::numeric_limits<std::uint64_t>::max());
}

} // namespace

RangeKind parse_range(std::string_view field, std::uint64_t total, ByteRange& out) {
    if (!field.starts_with("bytes=") || field.contains(',')) return RangeKind::whole;
    field.remove_prefix(6);
    const auto dash = field.find('-');
    if (dash == std::string_view::npos) return RangeKind::whole;
    const auto from = field.substr(0, dash), to = field.substr(dash + 1);
    if (from.empty()) { // the last n bytes
        const auto last = position(to);
        if (!last) return RangeKind::whole;
        if (*last == 0 || total == 0) return RangeKind::unsatisfiable;
        out.size = std::min(*last, total);
        out.first = total - out.size;
        return RangeKind::part;
    }
    const auto first = position(from),
               last = to.empty() ? std::numeric_limits<std::uint64_t>::max() : position(to);
    if (!first || !last || *last < *first) return RangeKind::whole;
    if (*first >= total) return RangeKind::unsatisfiable;
    out.first = *first;
    out.size = std::min(*last, total - 1) - *first + 1;
    return RangeKind::part;
}

std::optional<ByteRange> parse_chunk_range(std::string_view field) {
    if (field.starts_with("bytes ")) field.remove_prefix(6);
    field = field.substr(0, field.find('/'));
    const auto dash = field.find('-');
    if (dash == std::string_view::npos) return std::nullopt;
    const auto first = number(field.substr(0, dash)), last = number(field.substr(dash + 1));
    if (!first || !last || *last < *first || *last == std::numeric_limits<std::uint64_t>::max())
        return std::nullopt;
    return ByteRange{.first = *first, .size = *last - *first + 1};
}

} // namespace consign::oci
