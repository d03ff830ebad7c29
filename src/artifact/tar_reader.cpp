#include "artifact/tar_reader.hpp"
#include "artifact/entry_name.hpp"
#include <algorithm>
#include <format>

namespace consign::artifact {
namespace {

constexpr std::uint64_t kExtensionLimit = 64u << 10; // a pax header or long name: two paths and a little

std::unexpected<Error> refuse(std::string_view name, std::string_view why) {
    return fail(Code::corrupt, std::format("the entry '{}' {}", printable(name), why),
                "do not use this archive");
}
std::unexpected<Error> cut_short() {
    return fail(Code::corrupt, "the archive is cut short", "fetch it again");
}

std::string_view kind_of(char type) {
    switch (type) {
    case '1':
        return "is a hard link";
    case '3':
        return "is a character device";
    case '4':
        return "is a block device";
    case '6':
        return "is a named pipe";
    case 'g':
        return "is a global pax header, which is not supported";
    case 'S':
        return "is a sparse file, which is not supported";
    default:
        return "is of an unknown type";
    }
}

} // namespace

/// false: the end of the input.
Result<bool> TarReader::read_block(TarBlock& block) {
    CONSIGN_TRY(count, input_.read(std::as_writable_bytes(std::span(block))));
    if (count == 0) return false;
    if (count < block.size()) return cut_short();
    return true;
}

Result<std::string> TarReader::read_text(const TarHeader& header) {
    if (header.size > kExtensionLimit)
        return refuse(header.name, std::format("is an extended header of {} bytes", header.size));
    std::string text(header.size + padding_after(header.size), '\0');
    CONSIGN_TRY(count, input_.read(std::as_writable_bytes(std::span(text))));
    if (count < text.size()) return cut_short();
    text.resize(header.size);
    return text;
}

Result<ByteView> TarReader::content() {
    if (left_ == 0) return ByteView{};
    const auto piece = std::span(buffer_).first(std::min<std::uint64_t>(left_, buffer_.size()));
    CONSIGN_TRY(count, input_.read(piece));
    if (count < piece.size()) return cut_short();
    left_ -= count;
    return ByteView(piece);
}

Result<void> TarReader::skip_rest() {
    while (left_ > 0) CONSIGN_CHECK(content());
    const auto padding = std::span(buffer_).first(padding_);
    padding_ = 0;
    CONSIGN_TRY(count, input_.read(padding));
    if (count < padding.size()) return cut_short();
    return {};
}

/// After the first zero block: a second one, then nothing but more of them (other tars pad to 10 KiB).
Result<void> TarReader::expect_end() {
    TarBlock block;
    for (bool first = true;; first = false) {
        CONSIGN_TRY(more, read_block(block));
        if (!more) return first ? Result<void>(cut_short()) : Result<void>{};
        if (!is_zero(block))
            return fail(Code::corrupt, "the archive goes on after its end", "do not use this archive");
    }
}

Result<TarEntry> TarReader::checked(TarHeader header) const {
    TarEntry entry;
    switch (header.type) {
    case '0':
    case '\0':
        entry.kind = EntryKind::file;
        break;
    case '2':
        entry.kind = EntryKind::symlink;
        break;
    case '5':
        entry.kind = EntryKind::directory;
        break;
    default:
        return refuse(header.name, kind_of(header.type));
    }
    std::string_view name = header.name;
    if (name.starts_with("./")) name.remove_prefix(2);
    if (entry.kind == EntryKind::directory) {
        if (name.ends_with('/')) name.remove_suffix(1);
        if (name.empty() && header.name.starts_with("./")) name = ".";
    }
    // "." is how other tars write the root itself; the caller knows it by its empty name.
    if (entry.kind == EntryKind::directory && name == ".") return entry;
    if (const auto fault = fault_of_name(name); !fault.empty())
        return refuse(header.name, "has a name that " + fault);
    entry.name = name;
    if (entry.kind == EntryKind::symlink) {
        if (const auto fault = fault_of_link(entry.name, header.link_target); !fault.empty())
            return refuse(
                name, std::format("is a link whose target '{}' {}", printable(header.link_target), fault));
        entry.link_target = std::move(header.link_target);
    }
    if (entry.kind != EntryKind::file && header.size != 0)
        return refuse(name, "has content but is not a file");
    entry.size = header.size;
    entry.executable = (header.mode & 0100) != 0;
    return entry;
}

Result<std::optional<TarEntry>> TarReader::next() {
    CONSIGN_CHECK(skip_rest());
    PaxHeader pax;
    bool extended = false;
    for (;;) {
        TarBlock block;
        CONSIGN_TRY(more, read_block(block));
        if (!more) return cut_short();
        if (is_zero(block)) {
            if (extended) return cut_short();
            CONSIGN_CHECK(expect_end());
            return std::nullopt;
        }
        CONSIGN_TRY(header, decode_header(block));
        if (header.type == 'x') {
            CONSIGN_TRY(text, read_text(header));
            CONSIGN_TRY(records, decode_pax(text));
            if (records.path) pax.path = std::move(records.path);
            if (records.link_target) pax.link_target = std::move(records.link_target);
            if (records.size) pax.size = records.size;
        } else if (header.type == 'L' || header.type == 'K') { // GNU's long name, long link
            CONSIGN_TRY(text, read_text(header));
            (header.type == 'L' ? pax.path : pax.link_target) = text.substr(0, text.find('\0'));
        } else {
            if (pax.path) header.name = *pax.path;
            if (pax.link_target) header.link_target = *pax.link_target;
            if (pax.size) header.size = *pax.size;
            CONSIGN_TRY(entry, checked(std::move(header)));
            if (entry.name.empty()) { // the root
                pax = {};
                extended = false;
                continue;
            }
            left_ = entry.size;
            padding_ = padding_after(entry.size);
            return std::move(entry);
        }
        extended = true;
    }
}

} // namespace consign::artifact
