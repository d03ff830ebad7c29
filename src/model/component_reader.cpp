#include "model/component_reader.hpp"
#include "model/checks.hpp"
#include <algorithm>
#include <format>

namespace consign::model {
namespace {

using Kind = TomlNode::Kind;

constexpr int kHealthLimit_s = 3600, kTimeoutLimit_s = 24 * 3600, kAttemptsLimit = 20;

/// The number under `key`, or `absent`; a fault for one that is out of range.
int read_within(TableReader& table, std::string_view key, int least, int most, int absent, Report& report) {
    const auto value = table.integer(key);
    if (!value) return absent;
    if (*value >= least && *value <= most) return static_cast<int>(*value);
    report.fault(table.path_of(key), std::format("{} is out of range", *value),
                 std::format("write a number{} from {} to {}", key.ends_with("_s") ? " of seconds" : "", least, most));
    return absent;
}

Argv read_argv(const TomlNode& node, const std::string& path, Report& report) {
    auto argv = read_texts(node, path, report);
    if (node.kind == Kind::array &&
        (node.items.empty() || (argv.size() == node.items.size() && argv.front().empty())))
        report.fault(path, "names no program",
                     "write the program and its arguments: [\"./bin/serve\", \"--port\", \"80\"]");
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
            report.fault(path, "expected an array of commands, got one command",
                         "put it in another pair of brackets: [[…]]");
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
    const int given =
        (table.value("http") != nullptr) + (table.value("tcp") != nullptr) + (command != nullptr);
    if (given != 1)
        report.fault(table.path(), given ? "has more than one probe" : "has no probe",
                     "give exactly one of http, tcp and command");
    if (health.http && !health.http->starts_with("http://") && !health.http->starts_with("https://") &&
        !health.http->starts_with("{{"))
        report.fault(table.path_of("http"), std::format("'{}' is not a URL", *health.http),
                     "begin with http:// or https://");
    if (health.tcp && !health.tcp->contains(':') && !health.tcp->contains("{{"))
        report.fault(table.path_of("tcp"), std::format("'{}' names no port", *health.tcp),
                     "write \"host:port\"");
    health.within_s = read_within(table, "within_s", 1, kHealthLimit_s, health.within_s, report);
    table.refuse_others();
    return health;
}

void check_inner(const std::string& what, const std::string& path, std::string_view example, Report& report) {
    if (is_inner_path(what)) return;
    const auto why = what.empty()          ? "is empty"
                     : what.front() == '/' ? "is absolute"
                                           : "leaves its directory with '..'";
    report.fault(path, std::format("'{}' {}", what, why),
                 std::format("write a path below it, such as \"{}\"", example));
}

bool is_variable_name(std::string_view text) {
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
    const auto inner = [&](char c) { return letter(c) || (c >= '0' && c <= '9'); };
    return !text.empty() && letter(text.front()) && std::ranges::all_of(text, inner);
}

BundleRun read_run(TableReader table, Report& report) {
    BundleRun run;
    run.provision = read_commands(table, "provision", report);
    run.update = read_commands(table, "update", report);
    run.teardown = read_commands(table, "teardown", report);
    if (const auto* service = table.value("service"))
        run.service = read_argv(*service, table.path_of("service"), report);
    if (auto environment = table.table("environment")) {
        for (const auto& member : environment->members()) {
            const auto path = environment->path_of(member.key);
            auto value = read_text(member.value, path, report);
            if (!is_variable_name(member.key))
                report.fault_at(member.place, path,
                                std::format("'{}' is not the name of a variable", member.key),
                                "use letters, digits and '_', not beginning with a digit");
            else if (value)
                run.environment[member.key] = std::move(*value);
        }
    }
    run.templates = table.texts("templates");
    std::set<std::string> seen;
    for (std::size_t i = 0; i < run.templates.size(); ++i) {
        const auto path = std::format("{}[{}]", table.path_of("templates"), i);
        check_inner(run.templates[i], path, "etc/web.conf", report);
        if (!seen.insert(run.templates[i]).second)
            report.fault(path, std::format("'{}' is listed twice", run.templates[i]),
                         "remove one of the two");
    }
    if (auto health = table.table("health")) run.health = read_health(*health, report);
    table.refuse_others();
    return run;
}

bool has_space(std::string_view text) {
    return std::ranges::any_of(text, [](unsigned char c) { return c <= ' ' || c == 0x7f; });
}

/// git takes a value that begins with '-' for an option, and "ext::…" for a command to run.
bool is_safe_git_url(std::string_view url) {
    if (url.empty() || url.front() == '-' || url.contains("::") || has_space(url)) return false;
    for (const std::string_view scheme : {"https://", "ssh://", "git://", "file:///"})
        if (url.starts_with(scheme)) return true;
    return url.front() == '/' || (!url.contains("://") && url.contains('@') && url.contains(':'));
}

GitSource read_git(TableReader table, Report& report) {
    GitSource git;
    const auto url = table.required_text("git", "https://git.example/shop.git");
    const auto ref = table.required_text("ref", "v1.2.0");
    git.url = url.value_or("");
    git.ref = ref.value_or("");
    if (url && !is_safe_git_url(*url))
        report.fault(table.path_of("git"), std::format("'{}' is not the URL of a git repository", git.url),
                     "write https://…, ssh://…, git://…, file:///… or user@host:path");
    if (ref && (git.ref.empty() || git.ref.front() == '-' || has_space(git.ref)))
        report.fault(table.path_of("ref"), std::format("'{}' is not a branch, tag or commit", git.ref),
                     "write ref = \"v1.2.0\"");
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
        report.fault(path, "is missing",
                     "write source = \"./web\", or source = { git = \"https://…\", ref = \"v1.2.0\" }");
    } else if (node->kind == Kind::table) {
        source.git = read_git(TableReader(*node, path, report), report);
    } else if (auto directory = read_text(*node, path, report)) {
        check_inner(*directory, path, "./web", report);
        source.directory = std::move(directory);
    }
    return source;
}

} // namespace

Component read_component(TableReader table, Report& report) {
    Component component;
    if (const auto name = table.required_text("name", "web")) {
        component.name = *name;
        if (!is_name(*name))
            report.fault(table.path_of("name"), std::format("'{}' is not a name", *name),
                         std::string(kNameHint));
    }
    if (const auto type = table.required_text("type", "bundle"))
        if (const auto known = read_enum<ComponentType>(*type, table.path_of("type"), report)) {
            component.type = *known;
            if (component.type != ComponentType::bundle)
                report.fault(table.path_of("type"),
                             std::format("this version deploys only bundle components, not {}", *type),
                             "write type = \"bundle\"");
        }
    component.source = read_source(table, report);
    component.depends_on = table.texts("depends_on");
    if (const auto approval = table.text("approval"))
        component.approval =
            read_enum<Approval>(*approval, table.path_of("approval"), report).value_or(Approval::none);
    component.timeout_s = read_within(table, "timeout_s", 1, kTimeoutLimit_s, 0, report);
    component.max_attempts = read_within(table, "max_attempts", 1, kAttemptsLimit, 0, report);
    const auto* run = table.value("run");
    if (component.type != ComponentType::bundle)
        return component; // its other keys are those of another version
    if (run)
        if (auto reader = table.table("run")) component.run = read_run(*reader, report);
    table.refuse_others();
    return component;
}

} // namespace consign::model
