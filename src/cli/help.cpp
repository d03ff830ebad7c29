#include "cli/help.hpp"
#include "cli/parser.hpp"
#include "cli/text.hpp"
#include <algorithm>
#include <format>

namespace consign::cli {
namespace {

struct Purpose {
    std::string_view title;
    std::vector<std::string_view> commands;
};
const std::vector<Purpose>& purposes() {
    static const std::vector<Purpose> all = {
        {"Make software", {"app", "build", "release"}},
        {"Run it at customers", {"install", "deploy", "approve", "reject", "teardown"}},
        {"Move images and artifacts", {"registry"}},
        {"See what happens", {"status", "job", "logs", "events", "audit"}},
        {"Who may do what", {"agent", "user"}},
        {"Run consign itself", {"ims", "build-agent", "install-agent"}},
    };
    return all;
}

using Lines = std::vector<std::pair<std::string, std::string>>;

std::string two_columns(const Lines& lines) {
    constexpr std::size_t kWidest = 30; // a longer left side pushes its text to the next line
    std::size_t width = 0;
    for (const auto& [left, right] : lines)
        if (display_width(left) <= kWidest) width = std::max(width, display_width(left));
    std::string out;
    for (const auto& [left, right] : lines) {
        const auto used = display_width(left);
        out += "  " + left;
        out += used <= width ? std::string(width - used + 2, ' ') : "\n" + std::string(width + 4, ' ');
        out += right + "\n";
    }
    return out;
}

Lines flag_lines(const std::vector<const CommandSpec*>& path, std::size_t depth) {
    Lines lines;
    for (const auto& option : path[depth]->options)
        if (!option.positional() && serves(option, depth, path))
            lines.emplace_back(option.display(), option.help + (option.required ? " (needed)" : ""));
    return lines;
}

std::string usage_line(const std::vector<const CommandSpec*>& path) {
    const auto& command = *path.back();
    std::string line = words_of(path);
    for (const auto& option : command.options)
        if (option.positional()) line += " " + option.display();
    for (const auto& option : command.options)
        if (!option.positional() && option.required)
            line += " " + option.display().substr(option.display().find("--"));
    if (std::ranges::any_of(command.options, [](const auto& o) { return !o.positional() && !o.required; }))
        line += " [flags]";
    return line;
}

} // namespace

std::string overview(const CommandSpec& root, const std::string& version) {
    std::string out = "consign " + version + ": your software, in your customers' accounts\n";
    out += "\nTo begin: 'consign ims --data DIR' starts a server and prints the owner's token; the other "
           "commands\n"
           "take it as CONSIGN_TOKEN, or its file DIR/owner.token as CONSIGN_TOKEN_FILE.\n";
    for (const auto& purpose : purposes()) {
        Lines lines;
        for (const auto& name : purpose.commands)
            if (const auto found = std::ranges::find(root.commands, name, &CommandSpec::name);
                found != root.commands.end())
                lines.emplace_back(found->name, found->summary);
        out += std::format("\n{}\n{}", purpose.title, two_columns(lines));
    }
    out += "\nGlobal flags\n" + two_columns(flag_lines({&root}, 0));
    out += "\nEvery flag can also be set as CONSIGN_<FLAG> (CONSIGN_URL) or in the file of --config; flags "
           "beat the\n"
           "environment, the environment beats the file.\n"
           "Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 not allowed, 5 conflict, 6 unreachable,\n"
           "7 the job or deploy itself failed.\n"
           "\nconsign COMMAND --help tells more and gives examples.\n";
    return out;
}

std::string help_of(const std::vector<const CommandSpec*>& path) {
    const auto& command = *path.back();
    std::string out = command.summary + "\n\nUsage\n";
    if (command.run) out += "  " + usage_line(path) + "\n";
    if (!command.commands.empty()) out += "  " + words_of(path) + " COMMAND\n";

    if (!command.commands.empty()) {
        Lines lines;
        for (const auto& child : command.commands) lines.emplace_back(child.name, child.summary);
        out += "\nCommands\n" + two_columns(lines);
    }
    Lines arguments;
    for (const auto& option : command.options)
        if (option.positional()) arguments.emplace_back(option.display(), option.help);
    if (!arguments.empty()) out += "\nArguments\n" + two_columns(arguments);
    Lines flags;
    for (auto depth = path.size(); --depth > 0;) // its own first; the root's are the global ones
        std::ranges::copy(flag_lines(path, depth), std::back_inserter(flags));
    if (!flags.empty()) out += "\nFlags\n" + two_columns(flags);
    auto examples = command.examples;
    for (const auto& child : command.commands)
        if (!command.run) std::ranges::copy(child.examples, std::back_inserter(examples));
    if (!examples.empty()) {
        out += "\nExamples\n";
        for (const auto& example : examples) out += "  " + example + "\n";
    }
    return out + "\nGlobal flags (--url, --token-file, -o json, …): consign --help\n";
}

} // namespace consign::cli
