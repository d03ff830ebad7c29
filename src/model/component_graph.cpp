#include "model/component_graph.hpp"
#include "consign/model/template_scope.hpp"
#include <algorithm>
#include <format>

namespace consign::model {
namespace {

class CycleSearch {
  public:
    explicit CycleSearch(const std::vector<Component>& components)
        : components_(components), seen_(components.size(), Seen::no) {
        for (std::size_t i = 0; i < components.size(); ++i) index_.emplace(components[i].name, i);
    }

    std::vector<std::vector<std::string>> run() {
        for (std::size_t i = 0; i < components_.size(); ++i)
            if (seen_[i] == Seen::no) visit(i);
        return std::move(cycles_);
    }

  private:
    enum class Seen { no, on_stack, done };

    void visit(std::size_t at) {
        seen_[at] = Seen::on_stack;
        stack_.push_back(at);
        for (const auto& name : components_[at].depends_on) {
            const auto found = index_.find(name);
            if (found == index_.end()) continue;
            if (seen_[found->second] == Seen::no)
                visit(found->second);
            else if (seen_[found->second] == Seen::on_stack)
                note(found->second);
        }
        stack_.pop_back();
        seen_[at] = Seen::done;
    }

    /// The stack from `first` to its top is a cycle. It is told from the component that was written first.
    void note(std::size_t first) {
        std::vector<std::size_t> cycle(std::ranges::find(stack_, first), stack_.end());
        std::ranges::rotate(cycle, std::ranges::min_element(cycle));
        cycle.push_back(cycle.front());
        auto& names = cycles_.emplace_back();
        for (const auto i : cycle) names.push_back(components_[i].name);
    }

    const std::vector<Component>& components_;
    std::map<std::string_view, std::size_t> index_;
    std::vector<Seen> seen_;
    std::vector<std::size_t> stack_;
    std::vector<std::vector<std::string>> cycles_;
};

} // namespace

std::vector<std::vector<std::string>> find_cycles(const std::vector<Component>& components) {
    return CycleSearch(components).run();
}

std::vector<Component> in_dependency_order(std::vector<Component> components) {
    std::set<std::string> waiting;
    for (const auto& component : components) waiting.insert(component.name);
    std::vector<Component> ordered;
    while (!components.empty()) {
        // The first that waits for nobody; after a checked config there always is one.
        auto ready = std::ranges::find_if(components, [&](const Component& component) {
            return std::ranges::none_of(component.depends_on,
                                        [&](const auto& name) { return waiting.contains(name); });
        });
        if (ready == components.end()) ready = components.begin();
        waiting.erase(ready->name);
        ordered.push_back(std::move(*ready));
        components.erase(ready);
    }
    return ordered;
}

std::vector<std::string> dependencies_of(const AppConfig& config, std::string_view name) {
    std::set<std::string, std::less<>> needed;
    std::vector<std::string> open{std::string(name)};
    while (!open.empty()) {
        const auto* component = config.component(open.back());
        open.pop_back();
        if (!component) continue;
        for (const auto& next : component->depends_on)
            if (next != name && config.component(next) && needed.insert(next).second) open.push_back(next);
    }
    std::vector<std::string> out;
    for (const auto& component : config.components)
        if (needed.contains(component.name)) out.push_back(component.name);
    return out;
}

std::vector<std::string> template_scope(const AppConfig& config, const Component& component) {
    std::vector<std::string> paths{"install.name", "install.id", "install.data", "release.version"};
    for (const auto& [name, input] : config.inputs) paths.push_back("inputs." + name);
    auto reachable = dependencies_of(config, component.name);
    reachable.push_back(component.name);
    for (const auto& name : reachable)
        for (const auto* what : {"artifact.digest", "artifact.reference", "directory"})
            paths.push_back(std::format("components.{}.{}", name, what));
    std::ranges::sort(paths);
    return paths;
}

std::vector<std::pair<std::string, std::string>> template_texts(const BundleRun& run) {
    std::vector<std::pair<std::string, std::string>> out;
    const auto add_argv = [&](const std::string& path, const Argv& argv) {
        for (std::size_t i = 0; i < argv.size(); ++i)
            out.emplace_back(std::format("{}[{}]", path, i), argv[i]);
    };
    const auto add_commands = [&](const std::string& path, const std::vector<Argv>& commands) {
        for (std::size_t i = 0; i < commands.size(); ++i)
            add_argv(std::format("{}[{}]", path, i), commands[i]);
    };
    add_commands("run.provision", run.provision);
    add_commands("run.update", run.update);
    add_commands("run.teardown", run.teardown);
    add_argv("run.service", run.service);
    for (const auto& [name, value] : run.environment) out.emplace_back("run.environment." + name, value);
    if (run.health) {
        if (run.health->http) out.emplace_back("run.health.http", *run.health->http);
        if (run.health->tcp) out.emplace_back("run.health.tcp", *run.health->tcp);
        add_argv("run.health.command", run.health->command);
    }
    return out;
}

} // namespace consign::model
