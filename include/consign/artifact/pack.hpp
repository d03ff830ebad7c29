#pragma once
// Directory → deterministic tar → zstd. The bytes depend on the tree's names, modes (only the executable
// bit), contents and link targets, and on nothing else: not on path, mtimes, umask, owner, locale or machine.
// Format: docs/artifact-format.md. Everything here blocks: worker threads only.
#include "consign/base/digest.hpp"
#include <filesystem>
#include <stop_token>

namespace consign::artifact {

struct PackOptions {
    std::int64_t mtime_s = 0; ///< of every entry, seconds since 1970 (SOURCE_DATE_EPOCH or the commit's time)
    int zstd_level = 3;       ///< part of the format: the same level everywhere gives the same digest
    std::stop_token stop = {};
};

struct PackedLayer {
    std::filesystem::path file;
    Digest digest;          ///< of the compressed bytes: the blob's name
    std::uint64_t size = 0; ///< compressed, bytes
    Digest tar_digest;      ///< of the tar: "diff_id"
    std::uint64_t tar_size = 0;
    std::size_t entries = 0;
};

/// Packs the content of `directory` (not the directory itself) into `output`. Streams: memory is bounded.
/// Refused with the path named: sockets, devices, fifos, links that leave the tree, unreadable files, names
/// that are not UTF-8 or hold control characters, a file that changes while it is read. ".git" at the root is
/// left out.
Result<PackedLayer> pack_directory(const std::filesystem::path& directory,
                                   const std::filesystem::path& output, PackOptions options = {});

struct UnpackLimits {
    std::uint64_t max_bytes = 64ull << 30;
    std::size_t max_entries = 2'000'000;
};

/// Unpacks a tar+zstd (or plain tar) file below `target`, which must exist and be empty. Writes nothing
/// outside:
/// "..", absolute paths, entries below a symlink, links out of the tree, devices and duplicate names are
/// refused (corrupt, naming the entry). Files are fsynced at the end. Nothing is promised of `target` after
/// an error.
Result<void> unpack_layer(const std::filesystem::path& file, const std::filesystem::path& target,
                          UnpackLimits limits = {}, std::stop_token stop = {});

} // namespace consign::artifact
