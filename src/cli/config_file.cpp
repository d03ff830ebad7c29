#include "cli/config_file.hpp"
#include "consign/base/file.hpp"
#include "consign/model/app_config.hpp"
#include <algorithm>
#include <format>
#include <set>

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_MAX_NESTED_VALUES 32
#include <toml++/toml.h>

namespace consign::cli {
namespace {

using Values = std::map<std::string, std::vector<std::string>>;

std::string place(std::string_view file, const toml::source_region& region) {
    return std::format("{}:{}:{}", file, region.begin.line, region.begin.column);
}

std::string flag_name(std::string_view key) {
    std::string out(key);
    std::ranges::replace(out, '_', '-');
    return out;
}

std::optional<std::string> scalar(const toml::node& node) {
    if (const auto* text = node.as_string()) return text->get();
    if (const auto* number = node.as_integer()) return std::to_string(number->get());
    if (const auto* real = node.as_floating_point()) return std::format("{}", real->get());
    if (const auto* boolean = node.as_boolean()) return boolean->get() ? "true" : "false";
    return std::nullopt;
}

Result<void> flatten(const toml::table& table, const std::string& prefix, std::string_view file, Values& out) {
    for (const auto& [key, node] : table) {
        const auto name = prefix + flag_name(key.str());
        if (const auto* inner = node.as_table()) {
            CONSIGN_CHECK(flatten(*inner, name + ".", file, out));
            continue;
        }
        auto& values = out[name];
        const auto take = [&values](const toml::node& item) {
            auto text = scalar(item);
            if (text) values.push_back(std::move(*text));
            return text.has_value();
        };
        const auto* array = node.as_array();
        const bool understood = array ? std::ranges::all_of(*array, take) : take(node);
        if (!understood)
            return fail(Code::invalid_argument, std::format("{}: {}: expected text, a number, true or false, or a list "
                                                            "of them", place(file, node.source()), name));
    }
    return {};
}

/// Every key that means something: a command's flags and those of the commands around it, in its table or above.
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
    const auto parsed = toml::parse(toml, file_name);
    if (!parsed)
        return fail(Code::invalid_argument,
                    std::format("{}: {}", place(file_name, parsed.error().source()), parsed.error().description()));
    CONSIGN_CHECK(flatten(parsed.table(), "", file_name, out.values_));
    return out;
}

Result<void> ConfigFile::check(const CommandSpec& root) const {
    std::set<std::string> known;
    collect(root, {""}, {}, known);
    for (const auto& [key, values] : values_) {
        if (known.contains(key)) continue;
        const auto near = model::nearest(key, {known.begin(), known.end()});
        return fail(Code::invalid_argument, std::format("{}: '{}' is not a setting", file_, key),
                    near ? "did you mean '" + *near + "'?" : "settings are named like the flags of 'consign --help'");
    }
    return {};
}

const std::vector<std::string>* ConfigFile::find(std::span<const std::string> command, const std::string& flag) const {
    for (std::size_t depth = command.size() + 1; depth-- > 0;) {
        std::string key;
        for (const auto& word : command.first(depth)) key += word + ".";
        if (const auto found = values_.find(key + flag); found != values_.end()) return &found->second;
    }
    return nullptr;
}

} // namespace consign::cli
