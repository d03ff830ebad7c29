#pragma once
// --config FILE: TOML, keys named like the flags. At the top a key holds for every command that has the flag,
// in a table for that command alone:
//
//     url = "https://ims.example"
//     [deploy]
//     wait = true
#include "cli/command.hpp"
#include <map>
#include <span>

namespace consign::cli {

class ConfigFile {
  public:
    /// not_found, or invalid_argument with file, line and column.
    static Result<ConfigFile> read(const std::filesystem::path& path);
    static Result<ConfigFile> parse(std::string_view toml, std::string_view file_name);

    /// invalid_argument for the first key that no command of `root` has, with the nearest one that is.
    Result<void> check(const CommandSpec& root) const;

    /// The values for a flag in a command (names from the root's child down), the most specific table first;
    /// nullptr: none.
    const std::vector<std::string>* find(std::span<const std::string> command, const std::string& flag) const;

  private:
    std::string file_;
    std::map<std::string, std::vector<std::string>> values_; ///< "deploy.wait"; '_' reads as '-'
};

} // namespace consign::cli
