#include "archive_tar.hpp"
#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <format>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

namespace consign::oci {

namespace {

using Block = std::array<char, kTarBlock>;

// ustar's fields: offset and length.
constexpr std::size_t kName = 0, kNameSize = 100, kSize = 124, kSizeSize = 12, kChecksum = 148, kType = 156,
                      kMagic = 257, kPrefix = 345, kPrefixSize = 155;
constexpr std::uint64_t kOctalLimit = 077777777777;
constexpr std::size_t kExtensionLimit = 1u << 20;
constexpr std::size_t kEntriesLimit = 1'000'000;

std::uint64_t checksum(const Block& block) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < block.size(); ++i)
        sum += i >= kChecksum && i < kChecksum + 8 ? ' ' : static_cast<unsigned char>(block[i]);
    return sum;
}

std::string text_of(const Block& block, std::size_t offset, std::size_t size) {
    const auto* begin = block.data() + offset;
    return {begin, std::find(begin, begin + size, '\0')};
}

std::optional<std::uint64_t> number_of(const Block& block, std::size_t offset, std::size_t size) {
    if (static_cast<unsigned char>(block[offset]) == 0x80) { // GNU: base 256
        std::uint64_t out = 0;
        for (std::size_t i = 1; i < size; ++i) {
            if (out >> 55 != 0) return std::nullopt;
            out = out << 8 | static_cast<unsigned char>(block[offset + i]);
        }
        return out;
    }
    const auto text = text_of(block, offset, size);
    const auto first = text.find_first_not_of(' ');
    if (first == std::string::npos) return 0;
    const auto end = std::min(text.find(' ', first), text.size());
    std::uint64_t out = 0;
    const auto [stop, error] = std::from_chars(text.data() + first, text.data() + end, out, 8);
    if (error != std::errc() || stop != text.data() + end) return std::nullopt;
    return out;
}

void put_octal(Block& block, std::size_t offset, std::size_t size, std::uint64_t value) {
    const auto text = std::format("{:0{}o}", value, size - 1);
    std::memcpy(block.data() + offset, text.data(), size - 1);
}

struct Pax {
    std::optional<std::string> path;
    std::optional<std::uint64_t> size;
};
/// Records "LENGTH KEY=VALUE\n".
std::optional<Pax> parse_pax(std::string_view text) {
    Pax out;
    while (!text.empty()) {
        std::size_t length = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
        const auto digits = static_cast<std::size_t>(end - text.data());
        if (error != std::errc() || length > text.size() || length < digits + 3 || text[digits] != ' ' ||
            text[length - 1] != '\n')
            return std::nullopt;
        const auto record = text.substr(digits + 1, length - digits - 2);
        text.remove_prefix(length);
        const auto equals = record.find('=');
        if (equals == std::string_view::npos) return std::nullopt;
        const auto value = record.substr(equals + 1);
        if (record.substr(0, equals) == "path") out.path = std::string(value);
        if (record.substr(0, equals) == "size") {
            std::uint64_t size = 0;
            const auto [stop, failed] = std::from_chars(value.data(), value.data() + value.size(), size);
            if (failed != std::errc() || stop != value.data() + value.size()) return std::nullopt;
            out.size = size;
        }
    }
    return out;
}

class Indexer {
  public:
    Indexer(int file, const std::filesystem::path& named, std::uint64_t size)
        : file_(file), named_(named), size_(size) {}

    Result<std::map<std::string, TarSpan>> run() {
        Pax next;
        for (std::size_t entries = 0; entries < kEntriesLimit; ++entries) {
            if (at_ == size_ && at_ > 0) return std::move(out_); // some leave the two empty blocks out
            Block block;
            CONSIGN_CHECK(read(at_, block.data(), block.size()));
            if (std::ranges::all_of(block, [](char c) { return c == '\0'; })) return std::move(out_);
            if (number_of(block, kChecksum, 8) != checksum(block)) return not_tar();
            const auto stated = number_of(block, kSize, kSizeSize);
            if (!stated) return broken("a header has a size that is no number");
            const char type = block[kType];
            const auto size = type == 'x' || type == 'g' || type == 'L' || type == 'K'
                                  ? *stated
                                  : next.size.value_or(*stated);
            const auto content = at_ + kTarBlock;
            if (size > size_ - content) return broken("it is cut off");
            at_ = std::min(size_, content + size + tar_padding(size));
            if (type == 'x' || type == 'L') {
                CONSIGN_CHECK(extend(type, content, size, next));
                continue;
            }
            if (type == 'g' || type == 'K') continue;
            const auto name = next.path.value_or(name_of(block));
            next = {};
            if (type == '0' || type == '\0' || type == '7') add(name, {.offset = content, .size = size});
        }
        return broken("it has more than a million entries");
    }

  private:
    std::unexpected<Error> not_tar() const {
        if (at_ > 0) return broken("a header's checksum is wrong");
        return fail(Code::invalid_argument, named_.string() + " is not a tar file",
                    "a compressed archive has to be unpacked first (gunzip, unzstd)");
    }
    std::unexpected<Error> broken(std::string_view what) const {
        return fail(Code::corrupt, named_.string() + " is damaged: " + std::string(what));
    }
    Result<void> read(std::uint64_t offset, char* into, std::size_t size) const {
        for (std::size_t done = 0; done < size;) {
            const auto got = ::pread(file_, into + done, size - done, static_cast<off_t>(offset + done));
            if (got < 0) return fail_errno("read " + named_.string(), errno);
            if (got == 0) {
                if (size_ < kTarBlock) return not_tar();
                return broken("it is cut off");
            }
            done += static_cast<std::size_t>(got);
        }
        return {};
    }
    Result<void> extend(char type, std::uint64_t offset, std::uint64_t size, Pax& next) const {
        if (size > kExtensionLimit) return broken("an extended header is too large");
        std::string text(static_cast<std::size_t>(size), '\0');
        CONSIGN_CHECK(read(offset, text.data(), text.size()));
        if (type == 'L') {
            next.path = text.substr(0, text.find('\0'));
            return {};
        }
        auto pax = parse_pax(text);
        if (!pax) return broken("an extended header is malformed");
        if (pax->path) next.path = std::move(pax->path);
        if (pax->size) next.size = pax->size;
        return {};
    }
    static std::string name_of(const Block& block) {
        auto name = text_of(block, kName, kNameSize);
        if (std::memcmp(block.data() + kMagic, "ustar\0", 6) != 0) return name; // GNU has no prefix
        const auto prefix = text_of(block, kPrefix, kPrefixSize);
        return prefix.empty() ? name : prefix + "/" + name;
    }
    void add(std::string name, TarSpan span) {
        while (name.starts_with("./")) name.erase(0, 2);
        out_.insert_or_assign(std::move(name), span); // the last one counts, as it would on unpacking
    }

    int file_;
    const std::filesystem::path& named_;
    std::uint64_t size_, at_ = 0;
    std::map<std::string, TarSpan> out_;
};

} // namespace

std::string tar_header(std::string_view name, std::uint64_t size) {
    Block block{};
    const bool directory = name.ends_with('/');
    std::memcpy(block.data() + kName, name.data(), std::min(name.size(), kNameSize));
    put_octal(block, 100, 8, directory ? 0755 : 0644);
    put_octal(block, 108, 8, 0); // owner
    put_octal(block, 116, 8, 0); // group
    if (size <= kOctalLimit) {
        put_octal(block, kSize, kSizeSize, size);
    } else {
        block[kSize] = static_cast<char>(0x80);
        for (std::size_t i = 0; i < 8; ++i)
            block[kSize + kSizeSize - 1 - i] = static_cast<char>(size >> (8 * i) & 0xff);
    }
    put_octal(block, 136, 12, 0); // modified in 1970
    block[kType] = directory ? '5' : '0';
    std::memcpy(block.data() + kMagic, "ustar\00000", 8);
    put_octal(block, kChecksum, 7, checksum(block));
    block[kChecksum + 7] = ' ';
    return {block.data(), block.size()};
}

Result<std::map<std::string, TarSpan>> index_tar(int file, const std::filesystem::path& named) {
    struct ::stat status {};
    if (::fstat(file, &status) != 0) return fail_errno("stat " + named.string(), errno);
    if (!S_ISREG(status.st_mode))
        return fail(Code::invalid_argument, named.string() + " is not a file",
                    "an archive is read here and there: it cannot come through a pipe");
    return Indexer(file, named, static_cast<std::uint64_t>(status.st_size)).run();
}

} // namespace consign::oci
