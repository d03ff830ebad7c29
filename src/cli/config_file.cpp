#include "cli/config_file.hpp"
#include "consign/base/file.hpp"
#include "consign/model/toml.hpp"
#include <algorithm>
#include <format>
#include <set>

namespace consign::cli {
namespace {

using Values = std::map<std::string, std::vector<std::string>>;

std::string place_in(std::string_view file, model::Place place) {
    return std::format("{}:{}:{}", file, place.line, place.column);
}

std::string flag_name(std::string_view key) {
    std::string out(key);
    std::ranges::replace(out, '_', '-');
    return out;
}

std::optional<std::string> scalar(const model::TomlNode& node) {
    using enum model::TomlNode::Kind;
    switch (node.kind) {
    case string:
        return node.text;
    case integer:
        return std::to_string(node.integer);
    case number:
        return std::format("{}", node.number);
    case boolean:
        return node.boolean ? "true" : "false";
    case time:
    case array:
    case table:
        break;
    }
    return std::nullopt;
}

Result<void> flatten(const model::TomlNode& table, const std::string& prefix, std::string_view file,
                     Values& out) {
    using Kind = model::TomlNode::Kind;
    for (const auto& [key, place, node] : table.members) {
        const auto name = prefix + flag_name(key);
        if (node.kind == Kind::table) {
            CONSIGN_CHECK(flatten(node, name + ".", file, out));
            continue;
        }
        auto& values = out[name];
        const auto take = [&values](const model::TomlNode& item) {
            auto text = scalar(item);
            if (text) values.push_back(std::move(*text));
            return text.has_value();
        };
        const bool understood = node.kind == Kind::array ? std::ranges::all_of(node.items, take) : take(node);
        if (!understood)
            return fail(Code::invalid_argument,
                        std::format("{}: {}: expected text, a number, true or false, or a list "
                                    "of them",
                                    place_in(file, node.place), name));
    }
    return {};
}

/// Every key that means something: a command's flags and those of the commands around it, in its table or
/// above.
void collect(const CommandSpec& command, std::vector<std::string> prefixes, std::set<std::string> flags,
             std::set<std::string>& out) {
    for (const auto& option : command.options)
        if (!option.positional() && !option.command_line_only) flags.insert(option.long_name());
    for (const auto& prefix : prefixes)
        for (const auto& flag : flags) out.insert(prefix + flag);
    for (const auto& child : command.commands) {
        auto inner = prefixes;
        inner.push_back(prefixes.back() + child.name + ".");
        collect(child, std::move(inner), flags, out);
    }
}

} // namespace

Result<ConfigFile> ConfigFile::read(const std::filesystem::path& path) {
    CONSIGN_TRY(text, read_file(path, 1u << 20));
    return parse(text, path.string());
}

Result<ConfigFile> ConfigFile::parse(std::string_view toml, std::string_view file_name) {
    ConfigFile out;
    out.file_ = file_name;
    const auto parsed = model::parse_toml(toml, file_name);
    if (!parsed) return fail(Code::invalid_argument, model::to_string(parsed.error()));
    CONSIGN_CHECK(flatten(*parsed, "", file_name, out.values_));
    return out;
}

Result<void> ConfigFile::check(const CommandSpec& root) const {
    std::set<std::string> known;
    collect(root, {""}, {}, known);
    for (const auto& [key, values] : values_) {
        if (known.contains(key)) continue;
        const auto near = model::nearest(key, {known.begin(), known.end()});
        return fail(Code::invalid_argument, std::format("{}: '{}' is not a setting", file_, key),
                    near ? "did you mean '" + *near + "'?"
                         : "settings are named like the flags of 'consign --help'");
    }
    return {};
}

const std::vector<std::string>* ConfigFile::find(std::span<const std::string> command,
                                                 const std::string& flag) const {
    for (std::size_t depth = command.size() + 1; depth-- > 0;) {
        std::string key;
        for (const auto& word : command.first(depth)) key += word + ".";
        if (const auto found = values_.find(key + flag); found != values_.end()) return &found->second;
    }
    return nullptr;
}

} // namespace consign::cli
