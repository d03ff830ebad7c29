#pragma once
#include "cli/command.hpp"
#include <optional>

namespace consign::cli {

/// Reads one environment variable.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
Environment process_environment();

/// What the command line asks for.
struct Invocation {
    std::vector<const CommandSpec*> path; ///< from the root to the command meant
    bool help = false;
    bool version = false;
};

/// Parses `arguments` (without the program's name) against `root` and hands each option its value: flags beat
/// CONSIGN_* beat the file that --config names. With `help` or `version` nothing else is checked or set.
/// Every error is the user's to fix: exit code 2.
Result<Invocation> parse(const CommandSpec& root, std::vector<std::string> arguments,
                         const Environment& environment);

/// "consign release create"
std::string words_of(const std::vector<const CommandSpec*>& path);

} // namespace consign::cli
