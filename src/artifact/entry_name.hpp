#pragma once
// Which names and link targets an artifact may hold. The same rules at packing and at unpacking.
#include "consign/base/error.hpp"

namespace consign::artifact {

inline constexpr std::size_t kNameLimit = 4096; ///< bytes of a whole path (PATH_MAX)

/// What is wrong with a path below the root, or "" if nothing: relative, no empty, "." or ".." part, UTF-8
/// without control characters, parts of at most 255 bytes.
std::string fault_of_name(std::string_view name);

/// What is wrong with the target of the symlink `name`, or "". It must be relative, stay inside the tree, and
/// have
/// ".." only at its beginning: those lead up real directories, while "a/../.." leads wherever the link "a"
/// points. By induction no chain of such links leaves the tree.
std::string fault_of_link(std::string_view name, std::string_view target);

/// For messages: control characters and broken UTF-8 as \xNN, long names cut.
std::string printable(std::string_view name);

} // namespace consign::artifact
