#pragma once
#include "cli/command.hpp"

namespace consign::cli {

/// What `consign` alone prints: the commands by purpose.
std::string overview(const CommandSpec& root, const std::string& version);
/// `consign COMMAND --help`: usage, flags, examples.
std::string help_of(const std::vector<const CommandSpec*>& path);

} // namespace consign::cli
