#include "model/checks.hpp"
#include "consign/model/interpolate.hpp"
#include "consign/model/template_scope.hpp"
#include "model/component_graph.hpp"
#include <algorithm>
#include <format>

namespace consign::model {
namespace {

std::string suggest(std::string_view word, const std::vector<std::string>& candidates,
                    std::string otherwise) {
    if (const auto near = nearest(word, candidates)) return std::format("did you mean '{}'?", *near);
    return otherwise;
}

std::string joined(const std::vector<std::string>& words, std::string_view separator = ", ") {
    std::string out;
    for (const auto& word : words) out += (out.empty() ? "" : std::string(separator)) + word;
    return out;
}

void check_dependencies(const AppConfig& config, const Component& component, const std::string& path,
                        Report& report) {
    std::vector<std::string> others;
    for (const auto& other : config.components)
        if (other.name != component.name) others.push_back(other.name);
    std::set<std::string> seen;
    for (std::size_t i = 0; i < component.depends_on.size(); ++i) {
        const auto& name = component.depends_on[i];
        const auto at = std::format("{}.depends_on[{}]", path, i);
        if (!seen.insert(name).second)
            report.fault(at, std::format("'{}' is listed twice", name), "remove one of the two");
        else if (!config.component(name))
            report.fault(
                at, std::format("no component is named '{}'", name),
                suggest(name, others,
                        others.empty() ? "there is no other component" : "components: " + joined(others)));
    }
}

/// What to do about a path that is not in `scope`.
std::string scope_hint(const AppConfig& config, const Component& component, const std::string& wanted,
                       const std::vector<std::string>& scope) {
    if (wanted.starts_with("components.")) {
        const auto rest = std::string_view(wanted).substr(11);
        const std::string name(rest.substr(0, rest.find('.')));
        const auto known = dependencies_of(config, component.name);
        if (config.component(name) && name != component.name && !std::ranges::contains(known, name))
            return std::format("add '{}' to depends_on", name);
    }
    if (const auto near = nearest(wanted, scope)) return std::format("did you mean '{}'?", *near);
    if (wanted.starts_with("inputs.") && !wanted.substr(7).contains('.'))
        return std::format("declare it: [{}]", wanted);
    return "a template may name inputs.*, install.name, install.id, install.data, release.version, and "
           "artifact.digest, artifact.reference, directory of components.* it depends on";
}

void check_templates(const AppConfig& config, const Component& component, const std::string& path,
                     Report& report) {
    const auto scope = template_scope(config, component);
    for (const auto& [below, text] : template_texts(component.run)) {
        const auto at = path + "." + below;
        const auto used = template_paths(text);
        if (!used) {
            report.fault(at, used.error().message, used.error().hint);
            continue;
        }
        for (const auto& wanted : *used)
            if (!std::ranges::binary_search(scope, wanted.path))
                report.fault(at, std::format("nothing is known by the path '{}'", wanted.path),
                             scope_hint(config, component, wanted.path, scope));
    }
}

} // namespace

bool is_inner_path(std::string_view path) {
    if (path.empty() || path.front() == '/') return false;
    while (!path.empty()) {
        const auto part = path.substr(0, path.find('/'));
        if (part == "..") return false;
        path.remove_prefix(std::min(path.size(), part.size() + 1));
    }
    return true;
}

void check_app(const AppConfig& config, const std::vector<std::string>& paths, Report& report) {
    std::set<std::string> names;
    for (std::size_t i = 0; i < config.components.size(); ++i) {
        const auto& component = config.components[i];
        if (!component.name.empty() && !names.insert(component.name).second)
            report.fault(paths[i] + ".name", std::format("a second component is named '{}'", component.name),
                         "every component needs its own name");
        check_dependencies(config, component, paths[i], report);
        check_templates(config, component, paths[i], report);
    }
    for (const auto& cycle : find_cycles(config.components)) {
        const auto first = std::ranges::find(config.components, cycle.front(), &Component::name);
        const auto at = paths[static_cast<std::size_t>(first - config.components.begin())] + ".depends_on";
        report.fault(at, "components depend on each other in a circle: " + joined(cycle, " → "),
                     "take one of them out of the other's depends_on");
    }
}

} // namespace consign::model
