#include "artifact/tar_format.hpp"
#include "artifact/entry_name.hpp"
#include <algorithm>
#include <charconv>
#include <format>
#include <span>

namespace consign::artifact {
namespace {

constexpr std::uint64_t kOctalSizeLimit = 077777777777; // 8 GiB - 1
constexpr std::size_t kNameField = 100, kPrefixField = 155;

/// Offsets and lengths of the fields.
struct Field {
    std::size_t at, length;
};
constexpr Field kName{0, 100}, kMode{100, 8}, kUid{108, 8}, kGid{116, 8}, kSize{124, 12}, kMtime{136, 12},
    kChecksum{148, 8}, kType{156, 1}, kLink{157, 100}, kMagic{257, 8}, kDevMajor{329, 8}, kDevMinor{337, 8},
    kPrefix{345, 155};

std::string_view view(const TarBlock& block, Field field) { return {block.data() + field.at, field.length}; }

void put(TarBlock& block, Field field, std::string_view text) {
    std::ranges::copy(text.substr(0, field.length), block.begin() + static_cast<std::ptrdiff_t>(field.at));
}
/// Zero-filled octal digits with a NUL at the end.
void put_octal(TarBlock& block, Field field, std::uint64_t value) {
    put(block, field, std::format("{:0{}o}", value, field.length - 1));
}

unsigned checksum(const TarBlock& block) {
    unsigned sum = 0;
    for (std::size_t i = 0; i < block.size(); ++i) {
        const bool own = i >= kChecksum.at && i < kChecksum.at + kChecksum.length;
        sum += own ? ' ' : static_cast<unsigned char>(block[i]);
    }
    return sum;
}

bool is_ascii(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}
/// What readers without pax see of a name.
std::string ascii_prefix(std::string_view text, std::size_t limit) {
    std::string out(text.substr(0, limit));
    std::ranges::replace_if(out, [](char c) { return static_cast<unsigned char>(c) >= 0x80; }, '_');
    return out;
}

struct Split {
    std::string_view prefix, name;
};
/// The ustar name fields; nullopt if the name does not fit them. The leftmost possible cut, so that there is
/// one answer.
std::optional<Split> split_name(std::string_view name) {
    if (!is_ascii(name)) return std::nullopt;
    if (name.size() <= kNameField) return Split{{}, name};
    const auto cut = name.find('/', name.size() - kNameField - 1);
    if (cut == std::string_view::npos || cut == 0 || cut > kPrefixField || cut + 1 == name.size())
        return std::nullopt;
    return Split{name.substr(0, cut), name.substr(cut + 1)};
}

std::string block_of(const Split& name, char type, unsigned mode, std::uint64_t size, std::string_view link,
                     std::int64_t mtime_s) {
    TarBlock block{};
    put(block, kName, name.name);
    put_octal(block, kMode, mode);
    put_octal(block, kUid, 0);
    put_octal(block, kGid, 0);
    put_octal(block, kSize, size);
    put_octal(block, kMtime, static_cast<std::uint64_t>(mtime_s));
    put(block, kType, std::string_view(&type, 1));
    put(block, kLink, link);
    put(block, kMagic, std::string_view("ustar\00000", 8));
    put_octal(block, kDevMajor, 0);
    put_octal(block, kDevMinor, 0);
    put(block, kPrefix, name.prefix);
    put(block, kChecksum, std::format("{:06o}", checksum(block)) + std::string("\0 ", 2));
    return {block.data(), block.size()};
}

/// "LENGTH KEY=VALUE\n", where LENGTH counts itself.
std::string pax_record(std::string_view key, std::string_view value) {
    const std::size_t rest = key.size() + value.size() + 3;
    std::size_t length = rest + 1;
    while (std::to_string(length).size() + rest != length) ++length;
    return std::format("{} {}={}\n", length, key, value);
}

Result<std::uint64_t> parse_octal(std::string_view field, std::string_view what) {
    auto digits = field.substr(0, field.find('\0'));
    while (digits.starts_with(' ')) digits.remove_prefix(1);
    while (digits.ends_with(' ')) digits.remove_suffix(1);
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 8);
    if (!digits.empty() && (error != std::errc{} || end != digits.data() + digits.size()))
        return fail(Code::corrupt, std::format("the {} field is not an octal number", what));
    return value;
}

/// Octal, or GNU's base 256 for what octal cannot hold.
Result<std::uint64_t> parse_size(std::string_view field) {
    if ((static_cast<unsigned char>(field[0]) & 0x80) == 0) return parse_octal(field, "size");
    std::uint64_t value = 0;
    const bool fits = field[0] == '\x80' &&
                      std::ranges::all_of(field.substr(1, 3), [](char c) { return c == 0; }) &&
                      (static_cast<unsigned char>(field[4]) & 0x80) == 0;
    if (!fits) return fail(Code::corrupt, "the size field is out of range");
    for (const char c : field.substr(4)) value = value << 8 | static_cast<unsigned char>(c);
    return value;
}

std::string text_of(std::string_view field) { return std::string(field.substr(0, field.find('\0'))); }

} // namespace

std::string encode_header(const TarEntry& entry, std::int64_t mtime_s) {
    const bool directory = entry.kind == EntryKind::directory, link = entry.kind == EntryKind::symlink;
    const std::string name = entry.name + (directory ? "/" : "");
    const auto fields = split_name(name);
    const bool link_fits = entry.link_target.size() <= kNameField && is_ascii(entry.link_target);
    const bool size_fits = entry.size <= kOctalSizeLimit;

    // In the order of the keys: path before linkpath would be as good, but one order it must be.
    std::string records, out;
    if (link && !link_fits) records += pax_record("linkpath", entry.link_target);
    if (!fields) records += pax_record("path", name);
    if (!size_fits) records += pax_record("size", std::to_string(entry.size));
    if (!records.empty()) {
        const auto label = "PaxHeaders/" + ascii_prefix(entry.name, kNameField - 11);
        out += block_of({{}, label}, 'x', 0644, records.size(), {}, mtime_s);
        out += records;
        out.append(padding_after(records.size()), '\0');
    }
    const auto plain = ascii_prefix(name, kNameField);
    const unsigned mode = link ? 0777 : directory || entry.executable ? 0755 : 0644;
    out += block_of(fields.value_or(Split{{}, plain}),
                    link        ? '2'
                    : directory ? '5'
                                : '0',
                    mode, size_fits ? entry.size : 0,
                    link_fits ? entry.link_target : ascii_prefix(entry.link_target, kNameField), mtime_s);
    return out;
}

bool is_zero(const TarBlock& block) {
    return std::ranges::all_of(block, [](char c) { return c == 0; });
}

Result<TarHeader> decode_header(const TarBlock& block) {
    CONSIGN_TRY(sum, parse_octal(view(block, kChecksum), "checksum"));
    if (sum != checksum(block)) return fail(Code::corrupt, "a header has a wrong checksum");
    const auto magic = view(block, kMagic);
    const bool posix = magic.starts_with(std::string_view("ustar\0", 6)),
               gnu = magic == std::string_view("ustar  \0", 8);
    if (!posix && !gnu) return fail(Code::corrupt, "a header is not of the ustar format");
    TarHeader header;
    header.name = text_of(view(block, kName));
    // GNU's old format keeps times where POSIX has the prefix.
    if (const auto prefix = text_of(view(block, kPrefix)); posix && !prefix.empty())
        header.name = prefix + "/" + header.name;
    header.link_target = text_of(view(block, kLink));
    header.type = block[kType.at];
    CONSIGN_TRY(mode, parse_octal(view(block, kMode), "mode"));
    CONSIGN_TRY(size, parse_size(view(block, kSize)));
    header.mode = mode;
    header.size = size;
    return header;
}

Result<PaxHeader> decode_pax(std::string_view records) {
    const auto malformed = [] { return fail(Code::corrupt, "a pax header is malformed"); };
    constexpr std::string_view kIgnored[] = {"mtime", "atime", "ctime", "uid",
                                             "gid",   "uname", "gname", "comment"};
    PaxHeader out;
    while (!records.empty()) {
        std::size_t length = 0;
        const auto [end, error] = std::from_chars(records.data(), records.data() + records.size(), length);
        const auto digits = static_cast<std::size_t>(end - records.data());
        if (error != std::errc{} || length > records.size() || length < digits + 4 ||
            records[digits] != ' ' || records[length - 1] != '\n')
            return malformed();
        const auto record = records.substr(digits + 1, length - digits - 2);
        const auto equals = record.find('=');
        if (equals == std::string_view::npos) return malformed();
        const auto key = record.substr(0, equals), value = record.substr(equals + 1);
        if (value.contains('\0')) return malformed();
        if (key == "path")
            out.path = value;
        else if (key == "linkpath")
            out.link_target = value;
        else if (key == "size") {
            std::uint64_t size = 0;
            const auto [last, bad] = std::from_chars(value.data(), value.data() + value.size(), size);
            if (bad != std::errc{} || last != value.data() + value.size() || size > INT64_MAX)
                return malformed();
            out.size = size;
        } else if (!std::ranges::contains(kIgnored, key)) {
            return fail(Code::unsupported,
                        std::format("a pax header has the key '{}', which is not supported", printable(key)));
        }
        records.remove_prefix(length);
    }
    return out;
}

} // namespace consign::artifact
