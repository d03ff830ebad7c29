#pragma once
// A command as data: its words, options, help, examples and body. The parser, the help and the configuration
// file all read the same tree, so that they cannot disagree.
#include "consign/base/error.hpp"
#include "consign/base/secret.hpp"
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace consign::cli {

class Context;

/// Where a value came from, weakest first.
enum class Origin { file, environment, flag };

/// An option, a switch or a positional argument.
struct OptionSpec {
    std::string names = {}; ///< "-f,--file"; empty for a positional
    std::string value = {}; ///< "FILE"; empty: a switch. The name of a positional
    std::string help = {};
    /// Called once per value, all values from one origin. A switch gets "true" or "false".
    std::function<Result<void>(std::string_view text, Origin origin)> set = {};
    bool required = false;
    bool repeated = false;
    bool command_line_only = false; ///< neither CONSIGN_* nor the file sets it
    bool for_commands = false;      ///< serves the commands below its own, too

    bool positional() const { return names.empty(); }
    bool is_switch() const { return value.empty(); }
    std::string long_name() const;        ///< "file"
    std::string environment_name() const; ///< "CONSIGN_FILE"
    std::string display() const;          ///< "--file FILE", "APP", "APP…"
};

struct CommandSpec {
    std::string name = {};
    std::string summary = {};
    std::vector<std::string> examples = {};
    std::vector<OptionSpec> options = {}; ///< positionals among them, in order
    std::vector<CommandSpec> commands = {};
    std::function<Result<int>(Context&)> run = {}; ///< the exit code; none: only its commands run
};

// Each binds a value that must outlive the tree: commands keep theirs in a shared_ptr that `run` holds.
OptionSpec option(std::string names, std::string value, std::string help, std::string& into);
OptionSpec option(std::string names, std::string value, std::string help, std::filesystem::path& into);
OptionSpec option(std::string names, std::string value, std::string help, int& into, int low, int high);
OptionSpec option(std::string names, std::string value, std::string help, Secret<std::string>& into);
OptionSpec option(std::string names, std::string value, std::string help, std::chrono::seconds& into);
OptionSpec option(std::string names, std::string value, std::string help, std::vector<std::string>& into);
/// How often: a duration, or "never", which is 0.
OptionSpec period(std::string names, std::string help, std::chrono::seconds& into);
/// Only these words; the help lists them.
OptionSpec choice(std::string names, std::string value, std::string help, std::string& into,
                  std::vector<std::string> words);
OptionSpec toggle(std::string names, std::string help, bool& into);
OptionSpec positional(std::string value, std::string help, std::string& into); ///< required
OptionSpec positionals(std::string value, std::string help, std::vector<std::string>& into);
OptionSpec required(OptionSpec spec);
OptionSpec for_commands(OptionSpec spec);

/// Whether the last command of `path` takes this option of the command at `depth`: its own, the root's (the
/// global flags), and those in between that say so.
bool serves(const OptionSpec& option, std::size_t depth, const std::vector<const CommandSpec*>& path);

/// "90s", "30m", "1h", "7d".
Result<std::chrono::seconds> parse_duration(std::string_view text);

} // namespace consign::cli
