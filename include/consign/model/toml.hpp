#pragma once
// TOML text as plain nodes that know their place. The TOML library stays behind it, in one file: it is slow
// to compile, and two files that set its switches differently would share its inline functions and disagree
// about their types.
#include "consign/model/app_config.hpp"

namespace consign::model {

/// 1-based; 0: unknown.
struct Place {
    int line = 0, column = 0;
};

struct TomlMember;
struct TomlNode {
    enum class Kind { string, integer, number, boolean, time, array, table };
    Kind kind = Kind::table;
    Place place;
    std::string text;
    std::int64_t integer = 0;
    double number = 0;
    bool boolean = false;
    std::vector<TomlNode> items;
    std::vector<TomlMember> members;
};
struct TomlMember {
    std::string key;
    Place place; ///< of the key
    TomlNode value;
};

/// The table at the root, or the first syntax error. Never throws; bounded in size and depth.
std::expected<TomlNode, Fault> parse_toml(std::string_view text, std::string_view file);

} // namespace consign::model
