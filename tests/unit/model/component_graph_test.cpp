#include "consign/model/template_scope.hpp"
#include "model/component_graph.hpp"
#include <catch2/catch.hpp>
#include <random>

using namespace consign::model;

namespace {
using Edges = std::vector<std::pair<std::string, std::vector<std::string>>>;
std::vector<Component> graph(const Edges& edges) {
    std::vector<Component> out;
    for (const auto& [name, needs] : edges) {
        Component component;
        component.name = name;
        component.depends_on = needs;
        out.push_back(component);
    }
    return out;
}
std::vector<std::string> names(const std::vector<Component>& components) {
    std::vector<std::string> out;
    for (const auto& component : components) out.push_back(component.name);
    return out;
}
using Names = std::vector<std::string>;
} // namespace

TEST_CASE("components come in dependency order, otherwise as written") {
    CHECK(names(in_dependency_order(graph({{"c", {}}, {"a", {}}, {"b", {}}}))) == Names{"c", "a", "b"});
    CHECK(names(in_dependency_order(graph({{"web", {"db"}}, {"mail", {}}, {"db", {}}}))) ==
          Names{"mail", "db", "web"});
    CHECK(names(in_dependency_order(graph({{"d", {"b", "c"}}, {"c", {"a"}}, {"b", {"a"}}, {"a", {}}}))) ==
          Names{"a", "c", "b", "d"});
}

TEST_CASE("cycles are told whole, from the component written first") {
    CHECK(find_cycles(graph({{"a", {"b"}}, {"b", {}}})).empty());
    CHECK(find_cycles(graph({{"a", {"a"}}})) == std::vector<Names>{{"a", "a"}});
    CHECK(find_cycles(graph({{"x", {"c"}}, {"a", {"b"}}, {"b", {"c"}}, {"c", {"a"}}})) ==
          std::vector<Names>{{"a", "b", "c", "a"}});
    CHECK(find_cycles(graph({{"a", {"b"}}, {"b", {"a"}}, {"c", {"d"}}, {"d", {"c"}}})).size() == 2);
    CHECK(find_cycles(graph({{"a", {"nobody"}}})).empty());
}

TEST_CASE("random graphs: ordered if and only if they have no cycle") {
    std::mt19937 random(7);
    for (int round = 0; round < 200; ++round) {
        Edges edges;
        const int count = 1 + static_cast<int>(random() % 8);
        for (int i = 0; i < count; ++i) {
            edges.push_back({"c" + std::to_string(i), {}});
            for (int j = 0; j < count; ++j)
                if (random() % 6 == 0) edges.back().second.push_back("c" + std::to_string(j));
        }
        const auto components = graph(edges);
        std::set<std::string> before;
        bool ordered = true;
        for (const auto& component : in_dependency_order(components)) {
            for (const auto& need : component.depends_on) ordered = ordered && before.contains(need);
            before.insert(component.name);
        }
        CHECK(before.size() == components.size());
        CHECK(ordered == find_cycles(components).empty());
    }
}

TEST_CASE("a template may name the component and what it depends on, however far") {
    AppConfig config;
    config.inputs["port"] = {};
    config.components = graph({{"a", {}}, {"b", {"a"}}, {"c", {"b"}}, {"other", {}}});
    CHECK(dependencies_of(config, "c") == Names{"a", "b"});
    CHECK(dependencies_of(config, "a").empty());
    const auto scope = template_scope(config, *config.component("c"));
    CHECK(std::ranges::is_sorted(scope));
    for (const auto* path :
         {"inputs.port", "install.name", "install.id", "install.data", "release.version",
          "components.c.directory", "components.a.artifact.digest", "components.b.artifact.reference"}) {
        CAPTURE(path);
        CHECK(std::ranges::contains(scope, path));
    }
    CHECK_FALSE(std::ranges::contains(scope, "components.other.directory"));
}
