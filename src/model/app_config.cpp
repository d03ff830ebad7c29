#include "consign/model/app_config.hpp"
#include "consign/model/inputs.hpp"
#include "model/checks.hpp"
#include "model/component_graph.hpp"
#include "model/component_reader.hpp"
#include <algorithm>
#include <cmath>
#include <format>

namespace consign::model {
namespace {

using Kind = TomlNode::Kind;

constexpr std::size_t kComponentLimit = 256; // the checks are quadratic, and a deploy makes a job of each

/// nullopt, with a fault, for what JSON cannot say.
std::optional<json::Value> read_value(const TomlNode& node, const std::string& path, Report& report) {
    switch (node.kind) {
    case Kind::string:
        return json::Value(node.text);
    case Kind::integer:
        return json::Value(node.integer);
    case Kind::boolean:
        return json::Value(node.boolean);
    case Kind::number:
        if (std::isfinite(node.number)) return json::Value(node.number);
        report.fault_at(node.place, path, "is not a finite number");
        return std::nullopt;
    case Kind::time:
        report.fault_at(node.place, path, "a date or time is no input value", "put it in quotes");
        return std::nullopt;
    case Kind::array: {
        json::Value out = json::Value::array();
        for (std::size_t i = 0; i < node.items.size(); ++i) {
            auto item = read_value(node.items[i], std::format("{}[{}]", path, i), report);
            if (!item) return std::nullopt;
            out.push_back(std::move(*item));
        }
        return out;
    }
    case Kind::table: {
        json::Value out = json::Value::object();
        for (const auto& member : node.members) {
            auto item = read_value(member.value, path + "." + member.key, report);
            if (!item) return std::nullopt;
            out[member.key] = std::move(*item);
        }
        return out;
    }
    }
    return std::nullopt;
}

bool is_input_name(std::string_view text) {
    const auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
    const auto inner = [&](char c) { return lower(c) || (c >= '0' && c <= '9') || c == '_'; };
    return !text.empty() && text.size() <= 128 && lower(text.front()) && std::ranges::all_of(text, inner);
}

Input read_input(TableReader table, Report& report) {
    Input input;
    bool typed = true; // a default cannot be judged against a type that nobody knows
    if (const auto type = table.text("type")) {
        const auto known = read_enum<InputType>(*type, table.path_of("type"), report);
        typed = known.has_value();
        input.type = known.value_or(InputType::string);
    }
    if (const auto* node = table.value("default")) {
        const auto path = table.path_of("default");
        auto value = read_value(*node, path, report);
        if (typed && value && !fits(input.type, *value))
            report.fault(path,
                         std::format("expected a value of type {}, got {}", json::name_of(input.type),
                                     describe(node->kind)),
                         "give a default of that type, or change the type");
        else
            input.default_value = std::move(value);
    }
    input.description = table.text("description").value_or("");
    input.sensitive = table.boolean("sensitive").value_or(false);
    table.refuse_others();
    return input;
}

void read_inputs(TableReader& root, AppConfig& config, Report& report) {
    auto inputs = root.table("inputs");
    if (!inputs) return;
    for (const auto& member : inputs->members()) {
        const auto path = inputs->path_of(member.key);
        if (!is_input_name(member.key))
            report.fault_at(member.place, path, std::format("'{}' is not the name of an input", member.key),
                            "begin with a-z and go on with a-z, 0-9 and '_', such as \"db_port\"");
        if (expect(member.value, Kind::table, path, report))
            config.inputs[member.key] = read_input(TableReader(member.value, path, report), report);
    }
}

/// Faults name a component by its name, or by its number while it has none of its own.
std::string component_path(const TomlNode& node, std::size_t index, std::set<std::string>& taken) {
    for (const auto& member : node.members)
        if (member.key == "name" && member.value.kind == Kind::string && is_name(member.value.text) &&
            taken.insert(member.value.text).second)
            return std::format("component[{}]", member.value.text);
    return std::format("component[#{}]", index + 1);
}

std::vector<std::string> read_components(TableReader& root, AppConfig& config, Report& report) {
    std::vector<std::string> paths;
    const auto* node = root.value("component");
    if (!node || (node->kind == Kind::array && node->items.empty())) {
        report.fault("component", "the app has no component",
                     "write [[component]] and its name, type and source");
        return paths;
    }
    if (node->kind == Kind::table) {
        report.fault("component", "expected an array of tables, got a table",
                     "write [[component]], with two brackets");
        return paths;
    }
    if (!expect(*node, Kind::array, "component", report)) return paths;
    if (node->items.size() > kComponentLimit) {
        report.fault("component",
                     std::format("{} components are more than {}", node->items.size(), kComponentLimit));
        return paths;
    }
    std::set<std::string> taken;
    for (std::size_t i = 0; i < node->items.size(); ++i) {
        const auto& item = node->items[i];
        const auto path = component_path(item, i, taken);
        if (!expect(item, Kind::table, path, report)) continue;
        paths.push_back(path);
        config.components.push_back(read_component(TableReader(item, path, report), report));
    }
    return paths;
}

} // namespace

const Component* AppConfig::component(std::string_view name) const {
    const auto found = std::ranges::find(components, name, &Component::name);
    return found == components.end() ? nullptr : &*found;
}

std::string to_string(const Fault& fault) {
    std::string out = fault.file;
    if (fault.line > 0) out += std::format(":{}:{}", fault.line, fault.column);
    out += ": ";
    if (!fault.path.empty()) out += fault.path + ": ";
    out += fault.message;
    if (!fault.hint.empty()) out += " (" + fault.hint + ")";
    return out;
}

std::expected<AppConfig, std::vector<Fault>> parse_app_config(std::string_view toml,
                                                              std::string_view file_name) {
    const auto node = parse_toml(toml, file_name);
    if (!node) return std::unexpected(std::vector{node.error()});
    Report report(file_name);
    AppConfig config;
    TableReader root(*node, "", report);
    if (const auto app = root.required_text("app", "shop")) {
        config.app = *app;
        if (!is_name(config.app))
            report.fault("app", std::format("'{}' is not a name", config.app), std::string(kNameHint));
    }
    config.description = root.text("description").value_or("");
    read_inputs(root, config, report);
    const auto paths = read_components(root, config, report);
    root.refuse_others();
    check_app(config, paths, report);
    if (!report.empty()) return std::unexpected(report.take());
    config.components = in_dependency_order(std::move(config.components));
    return config;
}

} // namespace consign::model
