#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "cli/help.hpp"
#include "cli/parser.hpp"
#include <algorithm>
#include <array>
#include <iostream>
#include <poll.h>
#include <unistd.h>

namespace consign::cli {
namespace {

/// A symlink named like a mode runs it; `consign help X` is `consign X --help`.
std::vector<std::string> arguments_of(int argc, const char* const* argv) {
    std::vector<std::string> out;
    if (argc > 0) {
        constexpr std::array<std::string_view, 3> kModes{"ims", "build-agent", "install-agent"};
        const auto name = std::filesystem::path(argv[0]).filename().string();
        if (std::ranges::contains(kModes, name)) out.push_back(name);
    }
    for (int i = 1; i < argc; ++i) out.emplace_back(argv[i]);
    if (!out.empty() && out.front() == "help") {
        out.erase(out.begin());
        out.emplace_back("--help");
    }
    return out;
}

Console process_console(const GlobalFlags& flags) {
    const auto* no_color = std::getenv("NO_COLOR");
    const bool refused = flags.no_color || (no_color && *no_color);
    return {.out = &std::cout,
            .err = &std::cerr,
            .out_terminal = ::isatty(STDOUT_FILENO) == 1,
            .err_terminal = ::isatty(STDERR_FILENO) == 1,
            .colour = !refused};
}

/// Whether standard output is a pipe or socket that nobody reads any more.
bool reader_is_gone() {
    pollfd out{STDOUT_FILENO, POLLOUT, 0};
    return ::poll(&out, 1, 0) > 0 && (out.revents & (POLLERR | POLLHUP)) != 0;
}

int run_command(Context& context, const CommandSpec& command) {
    auto result = command.run(context);
    if (!result) {
        context.print_error(result.error());
        return exit_code_of(result.error().code);
    }
    // `consign … | head`: the reader has what it wanted.
    if (!context.can_print() && reader_is_gone()) return kReaderGone;
    if (*result == kDone && !context.can_print()) { // a full disk behind `> file` must not look like success
        context.print_error({Code::internal, "cannot write the result to standard output", ""});
        return exit_code_of(Code::internal);
    }
    return *result;
}

} // namespace

CommandSpec command_tree(GlobalFlags& flags) {
    return {.name = "consign",
            .summary = "Your software, in your customers' accounts",
            .options = global_options(flags),
            .commands = {app_command(), build_command(), release_command(), install_command(),
                         deploy_command(), teardown_command(), approve_command(), reject_command(), status_command(), job_command(),
                         logs_command(), events_command(), audit_command(), registry_command(), agent_command(),
                         user_command(),
                         ims_command(), build_agent_command(), install_agent_command()}};
}

int run(int argc, const char* const* argv, const Modes& modes, const std::string& version) {
    GlobalFlags flags;
    const auto tree = command_tree(flags);
    const auto invocation = parse(tree, arguments_of(argc, argv), process_environment());
    Context context(flags, modes, process_console(flags));
    if (!invocation) return context.usage(invocation.error());
    const auto& path = invocation->path;
    if (invocation->version) {
        context.print("consign " + version);
        return kDone;
    }
    if (path.size() == 1) {
        context.print(overview(tree, version));
        return kDone;
    }
    if (invocation->help) {
        context.print(help_of(path));
        return kDone;
    }
    return run_command(context, *path.back());
}

} // namespace consign::cli
