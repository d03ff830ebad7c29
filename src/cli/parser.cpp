// The one file that knows CLI11. It is asked only to split the command line into commands, options and
// values: environment, file, types, defaults and messages are ours, because CLI11 ranks a file above the
// environment and its messages name neither the source of a value nor the nearest word.
#include "cli/parser.hpp"
#include "cli/config_file.hpp"
#include "consign/model/app_config.hpp"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <format>
#include <ranges>

namespace consign::cli {
namespace {

using Options = std::map<const OptionSpec*, CLI::Option*>;

void declare(const CommandSpec& spec, CLI::App& app, Options& options) {
    app.set_help_flag();
    app.fallthrough(); // global flags may stand behind the command
    app.require_subcommand(
        0, 1); // so that an install may be called "status": after one command, words are words
    if (app.get_parent() == nullptr) app.allow_extras();
    for (const auto& option : spec.options) {
        const auto name = option.positional() ? option.value : option.names;
        auto* declared = option.is_switch() ? app.add_flag(name)
                                            : app.add_option(name)->expected(1)->allow_extra_args(false);
        declared->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
        if (option.repeated && option.positional()) declared->expected(-1)->allow_extra_args();
        options[&option] = declared;
    }
    for (const auto& child : spec.commands) declare(child, *app.add_subcommand(child.name), options);
}

std::vector<const CommandSpec*> path_to(const CommandSpec& root, const CLI::App& app) {
    std::vector<const CommandSpec*> path{&root};
    const auto* at = &app;
    while (!at->get_subcommands().empty()) {
        at = at->get_subcommands().front();
        const auto& children = path.back()->commands;
        const auto child = std::ranges::find(children, at->get_name(), &CommandSpec::name);
        path.push_back(&*child);
    }
    return path;
}

std::string see_help(const std::vector<const CommandSpec*>& path) {
    return "see '" + words_of(path) + " --help'";
}

std::string suggestion(std::string_view word, const std::vector<std::string>& candidates,
                       const std::vector<const CommandSpec*>& path) {
    if (const auto near = model::nearest(word, candidates)) return "did you mean '" + *near + "'?";
    return see_help(path);
}

/// Something on the command line fits nowhere.
std::unexpected<Error> unexpected_word(const std::string& word, const std::vector<const CommandSpec*>& path) {
    std::vector<std::string> candidates;
    if (word.starts_with('-')) {
        for (std::size_t depth = 0; depth < path.size(); ++depth)
            for (const auto& option : path[depth]->options)
                if (!option.positional() && serves(option, depth, path))
                    candidates.push_back("--" + option.long_name());
        const auto flag = word.substr(0, word.find('='));
        return fail(Code::invalid_argument, std::format("'{}' has no flag '{}'", words_of(path), flag),
                    suggestion(flag, candidates, path));
    }
    for (const auto& command : path.back()->commands) candidates.push_back(command.name);
    if (!path.back()->run)
        return fail(Code::invalid_argument, std::format("'{}' has no command '{}'", words_of(path), word),
                    suggestion(word, candidates, path));
    return fail(Code::invalid_argument, std::format("'{}' has no use for '{}'", words_of(path), word),
                see_help(path));
}

/// The values of one option and where they came from.
struct Given {
    std::vector<std::string> values;
    Origin origin = Origin::flag;
    std::string named; ///< for messages: "--slots", "CONSIGN_SLOTS", "slots in FILE"
};

struct Sources {
    const Environment& environment;
    const std::optional<ConfigFile>& file;
    std::string file_name;
    std::vector<std::string> command; ///< names from the root's child down
};

std::optional<Given> given(const OptionSpec& spec, const CLI::Option& parsed, const Sources& sources) {
    if (parsed.count() > 0) {
        Given out{parsed.results(), Origin::flag, spec.positional() ? spec.value : "--" + spec.long_name()};
        if (!spec.repeated) out.values = {out.values.back()}; // given twice: the last one counts
        return out;
    }
    if (spec.positional() || spec.command_line_only) return std::nullopt;
    if (auto value = sources.environment(spec.environment_name()); value && !value->empty())
        return Given{{std::move(*value)}, Origin::environment, spec.environment_name()};
    if (sources.file)
        if (const auto* values = sources.file->find(sources.command, spec.long_name()))
            return Given{*values, Origin::file, spec.long_name() + " in " + sources.file_name};
    return std::nullopt;
}

Result<void> assign(const OptionSpec& spec, const Given& value) {
    for (const auto& text : value.values)
        if (auto set = spec.set(text, value.origin); !set)
            return std::unexpected(with_context(set.error(), value.named));
    return {};
}

Result<std::optional<ConfigFile>> config_file(const CommandSpec& root, const std::string& name) {
    if (name.empty()) return std::nullopt;
    CONSIGN_TRY(file, ConfigFile::read(name));
    CONSIGN_CHECK(file.check(root));
    return std::move(file);
}

/// The value of a root option that must be known before the file is read.
std::string early(const CommandSpec& root, const std::string& long_name, const Options& options,
                  const Environment& environment) {
    for (const auto& spec : root.options) {
        if (spec.long_name() != long_name) continue;
        const auto* parsed = options.at(&spec);
        if (parsed->count() > 0) return parsed->results().back();
        return spec.command_line_only ? "" : environment(spec.environment_name()).value_or("");
    }
    return {};
}

Result<void> assign_all(const Invocation& invocation, const Options& options, const Sources& sources) {
    for (std::size_t depth = 0; depth < invocation.path.size(); ++depth) {
        const auto* command = invocation.path[depth];
        for (const auto& spec : command->options) {
            const auto* parsed = options.at(&spec);
            // `build list extra`, `build list --wait`: they belong to `build`, but `build list` was asked
            // for.
            if (!serves(spec, depth, invocation.path)) {
                if (parsed->count() > 0)
                    return unexpected_word(spec.positional() ? parsed->results().front()
                                                             : "--" + spec.long_name(),
                                           invocation.path);
                continue;
            }
            const auto value = given(spec, *parsed, sources);
            if (value) CONSIGN_CHECK(assign(spec, *value));
            if (spec.required && command == invocation.path.back() &&
                (!value || value->values.empty() || value->values.front().empty()))
                return fail(Code::invalid_argument,
                            std::format("'{}' needs {}", words_of(invocation.path), spec.display()),
                            spec.help + "; " + see_help(invocation.path));
        }
    }
    return {};
}

} // namespace

Environment process_environment() {
    return [](const std::string& name) -> std::optional<std::string> {
        if (const char* value = std::getenv(name.c_str())) return value;
        return std::nullopt;
    };
}

std::string words_of(const std::vector<const CommandSpec*>& path) {
    std::string out;
    for (const auto* command : path) out += (out.empty() ? "" : " ") + command->name;
    return out;
}

Result<Invocation> parse(const CommandSpec& root, std::vector<std::string> arguments,
                         const Environment& environment) {
    CLI::App app;
    Options options;
    declare(root, app, options);
    std::ranges::reverse(arguments); // as CLI11 wants them
    Invocation out;
    try {
        app.parse(std::move(arguments));
        out.path = path_to(root, app);
    } catch (const CLI::ParseError& error) {
        out.path = path_to(root, app);
        return fail(Code::invalid_argument, error.what(), see_help(out.path));
    }
    out.help = early(root, "help", options, environment) == "true";
    out.version = early(root, "version", options, environment) == "true" && out.path.size() == 1;
    if (out.help || out.version) return out;
    if (const auto extras = app.remaining(true); !extras.empty())
        return unexpected_word(extras.front(), out.path);

    const auto file_name = early(root, "config", options, environment);
    CONSIGN_TRY(file, config_file(root, file_name));
    Sources sources{environment, file, file_name, {}};
    for (const auto* command : out.path | std::views::drop(1)) sources.command.push_back(command->name);
    CONSIGN_CHECK(assign_all(out, options, sources));
    if (!out.path.back()->run && out.path.size() > 1) {
        std::string commands;
        for (const auto& child : out.path.back()->commands)
            commands += (commands.empty() ? "" : ", ") + child.name;
        return fail(Code::invalid_argument,
                    std::format("'{}' needs a command: {}", words_of(out.path), commands),
                    see_help(out.path));
    }
    return out;
}

} // namespace consign::cli
