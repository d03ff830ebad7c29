#include "consign/model/app_config.hpp"
#include "consign/model/inputs.hpp"
#include "model/checks.hpp"
#include "model/component_graph.hpp"
#include <algorithm>
#include <cmath>
#include <format>

namespace consign::model {
namespace {

using Kind = TomlNode::Kind;

constexpr std::size_t kComponentLimit = 256; // the checks are quadratic, and a deploy makes a job of each
constexpr int kHealthLimit_s = 3600;
constexpr std::string_view kNameHint = "use a-z, 0-9 and '-', at most 63 characters, such as \"web-1\"";

template <json::NamedEnum E> std::optional<E> read_enum(const std::string& text, const std::string& path, Report& report) {
    if (const auto value = json::enum_from<E>(text)) return value;
    std::vector<std::string> known;
    std::string all;
    for (const auto& [value, name] : json::EnumNames<E>::names) {
        known.emplace_back(name);
        all += (all.empty() ? "" : ", ") + std::string(name);
    }
    const auto near = nearest(text, known);
    report.fault(path, std::format("'{}' is not a type", text),
                 near ? std::format("did you mean '{}'?", *near) : "write one of: " + all);
    return std::nullopt;
}

/// nullopt, with a fault, for what JSON cannot say.
std::optional<json::Value> read_value(const TomlNode& node, const std::string& path, Report& report) {
    switch (node.kind) {
    case Kind::string: return json::Value(node.text);
    case Kind::integer: return json::Value(node.integer);
    case Kind::boolean: return json::Value(node.boolean);
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

bool is_identifier(std::string_view text, bool upper) {
    const auto letter = [upper](char c) { return (c >= 'a' && c <= 'z') || (upper && ((c >= 'A' && c <= 'Z') || c == '_')); };
    const auto inner = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '_'; };
    return !text.empty() && text.size() <= 128 && letter(text.front()) && std::ranges::all_of(text, inner);
}

Input read_input(TableReader table, Report& report) {
    Input input;
    if (const auto type = table.text("type"))
        if (const auto known = read_enum<InputType>(*type, table.path_of("type"), report)) input.type = *known;
    if (const auto* node = table.value("default")) {
        const auto path = table.path_of("default");
        auto value = read_value(*node, path, report);
        if (value && !fits(input.type, *value))
            report.fault(path, std::format("expected a value of type {}, got {}", json::name_of(input.type), describe(node->kind)),
                         "give a default of that type, or change the type");
        else input.default_value = std::move(value);
    }
    input.description = table.text("description").value_or("");
    input.sensitive = table.boolean("sensitive").value_or(false);
    table.refuse_others();
    return input;
}

Argv read_argv(const TomlNode& node, const std::string& path, Report& report) {
    auto argv = read_texts(node, path, report);
    if (node.kind == Kind::array && (node.items.empty() || (argv.size() == node.items.size() && argv.front().empty())))
        report.fault(path, "names no program", "write the program and its arguments: [\"./bin/serve\", \"--port\", \"80\"]");
    return argv;
}

std::vector<Argv> read_commands(TableReader& table, std::string_view key, Report& report) {
    std::vector<Argv> out;
    const auto* node = table.value(key);
    const auto path = table.path_of(key);
    if (!node || !expect(*node, Kind::array, path, report)) return out;
    for (std::size_t i = 0; i < node->items.size(); ++i) {
        const auto& item = node->items[i];
        if (item.kind == Kind::string) { // one command where a list of them belongs
            report.fault(path, "expected an array of commands, got one command", "put it in another pair of brackets: [[…]]");
            break;
        }
        out.push_back(read_argv(item, std::format("{}[{}]", path, i), report));
    }
    return out;
}

HealthProbe read_health(TableReader table, Report& report) {
    HealthProbe health;
    health.http = table.text("http");
    health.tcp = table.text("tcp");
    const auto* command = table.value("command");
    if (command) health.command = read_argv(*command, table.path_of("command"), report);
    const int given = (table.value("http") != nullptr) + (table.value("tcp") != nullptr) + (command != nullptr);
    if (given != 1)
        report.fault(table.path(), given ? "has more than one probe" : "has no probe", "give exactly one of http, tcp and command");
    if (health.http && !health.http->starts_with("http://") && !health.http->starts_with("https://") &&
        !health.http->starts_with("{{"))
        report.fault(table.path_of("http"), std::format("'{}' is not a URL", *health.http), "begin with http:// or https://");
    if (health.tcp && !health.tcp->contains(':') && !health.tcp->contains("{{"))
        report.fault(table.path_of("tcp"), std::format("'{}' names no port", *health.tcp), "write \"host:port\"");
    if (const auto within = table.integer("within_s")) {
        if (*within < 1 || *within > kHealthLimit_s)
            report.fault(table.path_of("within_s"), std::format("{} is out of range", *within),
                         std::format("write a number of seconds from 1 to {}", kHealthLimit_s));
        else health.within_s = static_cast<int>(*within);
    }
    table.refuse_others();
    return health;
}

void check_inner(const std::string& what, const std::string& path, std::string_view example, Report& report) {
    if (is_inner_path(what)) return;
    const auto why = what.empty() ? "is empty" : what.front() == '/' ? "is absolute" : "leaves its directory with '..'";
    report.fault(path, std::format("'{}' {}", what, why), std::format("write a path below it, such as \"{}\"", example));
}

BundleRun read_run(TableReader table, Report& report) {
    BundleRun run;
    run.provision = read_commands(table, "provision", report);
    run.update = read_commands(table, "update", report);
    run.teardown = read_commands(table, "teardown", report);
    if (const auto* service = table.value("service")) run.service = read_argv(*service, table.path_of("service"), report);
    if (auto environment = table.table("environment")) {
        for (const auto& member : environment->members()) {
            const auto path = environment->path_of(member.key);
            auto value = read_text(member.value, path, report);
            if (!is_identifier(member.key, true))
                report.fault_at(member.place, path, std::format("'{}' is not the name of a variable", member.key),
                                "use letters, digits and '_', not beginning with a digit");
            else if (value) run.environment[member.key] = std::move(*value);
        }
    }
    run.templates = table.texts("templates");
    std::set<std::string> seen;
    for (std::size_t i = 0; i < run.templates.size(); ++i) {
        const auto path = std::format("{}[{}]", table.path_of("templates"), i);
        check_inner(run.templates[i], path, "etc/web.conf", report);
        if (!seen.insert(run.templates[i]).second)
            report.fault(path, std::format("'{}' is listed twice", run.templates[i]), "remove one of the two");
    }
    if (auto health = table.table("health")) run.health = read_health(*health, report);
    table.refuse_others();
    return run;
}

/// git takes a value that begins with '-' for an option, and "ext::…" for a command to run.
bool is_safe_git_url(std::string_view url) {
    if (url.empty() || url.front() == '-' || url.contains("::") || std::ranges::any_of(url, [](unsigned char c) { return c <= ' ' || c == 0x7f; }))
        return false;
    for (const std::string_view scheme : {"https://", "http://", "ssh://", "git://", "file:///"})
        if (url.starts_with(scheme)) return true;
    return url.front() == '/' || (!url.contains("://") && url.contains('@') && url.contains(':'));
}

GitSource read_git(TableReader table, Report& report) {
    GitSource git;
    git.url = table.required_text("git", "https://git.example/shop.git").value_or("");
    git.ref = table.required_text("ref", "v1.2.0").value_or("");
    if (table.value("git") && !is_safe_git_url(git.url) && table.value("git")->kind == Kind::string)
        report.fault(table.path_of("git"), std::format("'{}' is not the URL of a git repository", git.url),
                     "write https://…, ssh://…, git://…, file:///… or user@host:path");
    const bool ref_given = table.value("ref") && table.value("ref")->kind == Kind::string;
    if (ref_given && (git.ref.empty() || git.ref.front() == '-' || std::ranges::any_of(git.ref, [](unsigned char c) { return c <= ' ' || c == 0x7f; })))
        report.fault(table.path_of("ref"), std::format("'{}' is not a branch, tag or commit", git.ref), "write ref = \"v1.2.0\"");
    if (auto dir = table.text("dir")) {
        check_inner(*dir, table.path_of("dir"), "web", report);
        git.dir = std::move(*dir);
    }
    table.refuse_others();
    return git;
}

Source read_source(TableReader& component, Report& report) {
    Source source;
    const auto* node = component.value("source");
    const auto path = component.path_of("source");
    if (!node) {
        report.fault(path, "is missing", "write source = \"./web\", or source = { git = \"https://…\", ref = \"v1.2.0\" }");
    } else if (node->kind == Kind::table) {
        source.git = read_git(TableReader(*node, path, report), report);
    } else if (auto directory = read_text(*node, path, report)) {
        check_inner(*directory, path, "./web", report);
        source.directory = std::move(directory);
    }
    return source;
}

Component read_component(TableReader table, Report& report) {
    Component component;
    if (const auto name = table.required_text("name", "web")) {
        component.name = *name;
        if (!is_name(*name)) report.fault(table.path_of("name"), std::format("'{}' is not a name", *name), std::string(kNameHint));
    }
    if (const auto type = table.required_text("type", "bundle"))
        if (const auto known = read_enum<ComponentType>(*type, table.path_of("type"), report)) {
            component.type = *known;
            if (component.type != ComponentType::bundle)
                report.fault(table.path_of("type"), std::format("this version deploys only bundle components, not {}", *type),
                             "write type = \"bundle\"");
        }
    component.source = read_source(table, report);
    component.depends_on = table.texts("depends_on");
    const auto* run = table.value("run");
    if (component.type != ComponentType::bundle) return component; // its other keys are those of another version
    if (run)
        if (auto reader = table.table("run")) component.run = read_run(*reader, report);
    table.refuse_others();
    return component;
}

void read_inputs(TableReader& root, AppConfig& config, Report& report) {
    auto inputs = root.table("inputs");
    if (!inputs) return;
    for (const auto& member : inputs->members()) {
        const auto path = inputs->path_of(member.key);
        if (!is_identifier(member.key, false))
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
        report.fault("component", "the app has no component", "write [[component]] and its name, type and source");
        return paths;
    }
    if (node->kind == Kind::table) {
        report.fault("component", "expected an array of tables, got a table", "write [[component]], with two brackets");
        return paths;
    }
    if (!expect(*node, Kind::array, "component", report)) return paths;
    if (node->items.size() > kComponentLimit) {
        report.fault("component", std::format("{} components are more than {}", node->items.size(), kComponentLimit));
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

std::expected<AppConfig, std::vector<Fault>> parse_app_config(std::string_view toml, std::string_view file_name) {
    const auto node = parse_toml(toml, file_name);
    if (!node) return std::unexpected(std::vector{node.error()});
    Report report(file_name);
    AppConfig config;
    TableReader root(*node, "", report);
    if (const auto app = root.required_text("app", "shop")) {
        config.app = *app;
        if (!is_name(config.app)) report.fault("app", std::format("'{}' is not a name", config.app), std::string(kNameHint));
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
