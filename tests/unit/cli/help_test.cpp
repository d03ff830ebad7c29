#include "cli/commands.hpp"
#include "cli/help.hpp"
#include <algorithm>
#include <catch2/catch.hpp>

using namespace consign::cli;

namespace {
template <class Visit>
void visit_all(const CommandSpec& command, std::vector<const CommandSpec*> path, const Visit& visit) {
    path.push_back(&command);
    visit(path);
    for (const auto& child : command.commands) visit_all(child, path, visit);
}
} // namespace

TEST_CASE("the overview has every command, once") {
    GlobalFlags flags;
    const auto tree = command_tree(flags);
    const auto text = overview(tree, "1.2.3");
    CHECK(text.starts_with("consign 1.2.3"));
    for (const auto& command : tree.commands) {
        CAPTURE(command.name);
        const auto line = "\n  " + command.name + " ";
        const auto at = text.find(line);
        REQUIRE(at != std::string::npos);
        CHECK(text.find(line, at + 1) == std::string::npos);
    }
}

TEST_CASE("every command says what it does and gives an example that it understands itself") {
    GlobalFlags flags;
    const auto tree = command_tree(flags);
    visit_all(tree, {}, [&](const std::vector<const CommandSpec*>& path) {
        const auto& command = *path.back();
        CAPTURE(command.name);
        CHECK_FALSE(command.summary.empty());
        if (path.size() == 1) return;
        CHECK((command.run || !command.commands.empty()));
        if (command.run) CHECK_FALSE(command.examples.empty());
        for (const auto& example : command.examples) CHECK(example.starts_with("consign " + path[1]->name));
        const auto help = help_of(path);
        for (const auto& option : command.options) {
            CHECK_FALSE(option.help.empty());
            CHECK(help.find(option.display()) != std::string::npos);
        }
        for (const auto& child : command.commands) CHECK(help.find("  " + child.name) != std::string::npos);
    });
}

TEST_CASE("secrets on the command line come with a warning") {
    GlobalFlags flags;
    CHECK(overview(command_tree(flags), "1").find("process list") != std::string::npos);
}

TEST_CASE("a command's help names the flags that it takes, and no others") {
    GlobalFlags flags;
    const auto tree = command_tree(flags);
    const auto child = [](const CommandSpec& of, std::string_view name) {
        return &*std::ranges::find(of.commands, name, &CommandSpec::name);
    };
    const auto* agent = child(tree, "build-agent");
    const auto ci = help_of({&tree, agent, child(*agent, "build")});
    CHECK(ci.contains("--source DIR"));
    CHECK(ci.contains("--ims URL"));
    for (const auto* useless : {"--enroll", "--data", "--slots", "--once"}) {
        CAPTURE(useless);
        CHECK_FALSE(ci.contains(useless));
        CHECK(help_of({&tree, agent}).contains(useless));
    }
    const auto* build = child(tree, "build");
    CHECK_FALSE(help_of({&tree, build, child(*build, "list")}).contains("--wait"));
}
