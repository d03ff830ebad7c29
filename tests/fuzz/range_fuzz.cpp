// A range lies inside of what it is a range of, and says the same when it is written again. Beside it what
// else decides whether and which bytes go out: If-None-Match and If-Range.
#include "oci/conditional.hpp"
#include "oci/range.hpp"
#include <cstdlib>
#include <cstring>
#include <string>

using namespace consign::oci;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::uint64_t total = 0;
    if (size < sizeof total) return 0;
    std::memcpy(&total, data, sizeof total);
    const std::string_view field(reinterpret_cast<const char*>(data) + sizeof total, size - sizeof total);

    ByteRange range;
    const auto kind = parse_range(field, total, range);
    if (kind == RangeKind::part) {
        if (range.size == 0 || range.first >= total || range.size > total - range.first) std::abort();
        ByteRange again;
        const auto text =
            "bytes=" + std::to_string(range.first) + "-" + std::to_string(range.first + range.size - 1);
        if (parse_range(text, total, again) != RangeKind::part || again.first != range.first ||
            again.size != range.size)
            std::abort();
    }
    if (kind != RangeKind::whole && !field.starts_with("bytes=")) std::abort();
    if (kind == RangeKind::unsatisfiable && total > 0 && field == "bytes=0-") std::abort();

    if (const auto chunk = parse_chunk_range(field)) {
        if (chunk->size == 0 || chunk->first + chunk->size < chunk->first) std::abort();
        const auto again = parse_chunk_range(std::to_string(chunk->first) + "-" +
                                             std::to_string(chunk->first + chunk->size - 1));
        if (!again || again->first != chunk->first || again->size != chunk->size) std::abort();
    }

    constexpr std::string_view kTag = "\"sha256:00\"";
    if (if_none_match(field, kTag) && field.find('*') == std::string_view::npos &&
        field.find(kTag) == std::string_view::npos)
        std::abort();
    if (if_range(field, kTag) && !field.empty() && field.find(kTag) == std::string_view::npos &&
        field.find_first_not_of(" \t") != std::string_view::npos)
        std::abort();
    return 0;
}
