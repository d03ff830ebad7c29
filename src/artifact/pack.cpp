#include "consign/artifact/pack.hpp"
#include "artifact/entry_name.hpp"
#include "artifact/layer_writer.hpp"
#include "artifact/source_tree.hpp"
#include <format>
#include <unistd.h>

namespace consign::artifact {
namespace {

constexpr std::size_t kReadPiece = 256u << 10;

/// Exactly `size` bytes: the header has already promised them.
Result<void> copy_content(const TarEntry& entry, int fd, std::span<std::byte> buffer,
                          const std::stop_token& stop, LayerWriter& layer) {
    std::uint64_t left = entry.size;
    while (left > 0) {
        if (stop.stop_requested()) return fail(Code::cancelled, "packing was cancelled");
        const auto count = ::read(fd, buffer.data(), std::min<std::uint64_t>(left, buffer.size()));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fail_errno("cannot read '" + printable(entry.name) + "'", errno);
        if (count == 0)
            return fail(Code::conflict, "'" + printable(entry.name) + "' became shorter while it was read",
                        "pack again when nothing writes there");
        CONSIGN_CHECK(layer.write(ByteView(buffer).first(static_cast<std::size_t>(count))));
        left -= static_cast<std::uint64_t>(count);
    }
    return layer.write(std::string(padding_after(entry.size), '\0'));
}

Result<PackedLayer> pack(const std::filesystem::path& directory, const std::filesystem::path& output,
                         const PackOptions& options) {
    CONSIGN_TRY(layer, LayerWriter::create(output, options.zstd_level));
    std::size_t entries = 0;
    Bytes buffer(kReadPiece);
    CONSIGN_CHECK(
        walk_tree(directory, layer.fd(), options.stop, [&](const TarEntry& entry, int fd) -> Result<void> {
            ++entries;
            CONSIGN_CHECK(layer.write(encode_header(entry, options.mtime_s)));
            if (entry.kind != EntryKind::file) return {};
            return copy_content(entry, fd, buffer, options.stop, layer);
        }));
    CONSIGN_CHECK(layer.write(std::string(2 * kTarBlock, '\0')));
    auto packed = layer.finish();
    if (packed) packed->entries = entries;
    return packed;
}

} // namespace

Result<PackedLayer> pack_directory(const std::filesystem::path& directory,
                                   const std::filesystem::path& output, PackOptions options) {
    if (options.mtime_s < 0 || options.mtime_s > kMtimeLimit)
        return fail(Code::invalid_argument,
                    std::format("the time {} does not fit a tar header", options.mtime_s),
                    std::format("SOURCE_DATE_EPOCH is a number of seconds from 0 to {}", kMtimeLimit));
    std::error_code error;
    if (!std::filesystem::is_directory(directory, error))
        return fail(std::filesystem::exists(directory, error) ? Code::invalid_argument : Code::not_found,
                    std::format("'{}' is not a directory", printable(directory.native())));
    auto packed = pack(directory, output, options);
    if (!packed) std::filesystem::remove(output, error); // a piece of a layer is of use to nobody
    return packed;
}

} // namespace consign::artifact
