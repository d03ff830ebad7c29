#pragma once
// Walks a directory in the order of the archive and refuses what an artifact cannot hold.
#include "artifact/tar_format.hpp"
#include "consign/base/file.hpp"
#include <functional>
#include <stop_token>

namespace consign::artifact {

/// A file's content, to be read once from its beginning; the walk checks afterwards that the file stood
/// still.
using OnEntry = std::function<Result<void>(const TarEntry& entry, int content_fd)>; ///< fd: -1 but for files

/// Calls `on_entry` for everything below `directory`, sorted by the bytes of the names in the archive (where
/// a directory ends in '/', so it comes before its children). ".git" at the root is left out. `not_this`: a
/// file that must not be in the tree (the archive being written), by descriptor. Errors name the path.
Result<void> walk_tree(const std::filesystem::path& directory, int not_this, std::stop_token stop,
                       const OnEntry& on_entry);

} // namespace consign::artifact
