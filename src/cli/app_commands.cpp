#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "cli/views.hpp"
#include <format>
#include <iostream>

namespace consign::cli {
namespace {

using namespace protocol;

/// "-" reads standard input.
Result<std::string> read_toml(const std::string& file) {
    if (file != "-") return read_file(file, 4u << 20);
    return std::string(std::istreambuf_iterator<char>(std::cin), {});
}

Result<int> apply_config(Context& context, const std::string& file) {
    CONSIGN_TRY(toml, read_toml(file));
    const std::string name = file == "-" ? "stdin" : file;
    const auto config = model::parse_app_config(toml, name);
    if (!config) {
        // Each on a line of its own, without "consign:" in front, so that editors can jump to it.
        for (const auto& fault : config.error()) context.note(model::to_string(fault));
        return exit_code_of(Code::invalid_argument);
    }
    CONSIGN_TRY(app, context.call<AppView>(net::Verb::put, path_of("/v1/apps/", config->app),
                                           ApplyAppRequest{toml, name}));
    if (context.json())
        context.print_json(app);
    else
        context.print_foreign(std::format("{}: config version {}{}", app.name, app.config_version,
                                          app.changed ? "" : ", unchanged"));
    return kDone;
}

Result<int> list(Context& context) {
    CONSIGN_TRY(apps, context.get<List<AppView>>("/v1/apps"));
    Table table({"APP", "VERSION", "COMPONENTS", "CHANGED", "ABOUT"});
    for (const auto& app : apps.items)
        table.add({app.name, app.config_version, app.config.components.size(),
                   ago(app.updated_at, context.now()), app.config.description});
    context.print_list(apps, table, "no apps yet: consign app apply -f consign.toml");
    return kDone;
}

Result<int> show(Context& context, const std::string& name) {
    CONSIGN_TRY(app, context.get<AppView>(path_of("/v1/apps/", name)));
    show_app(context, app);
    return kDone;
}

} // namespace

CommandSpec app_command() {
    const auto file = std::make_shared<std::string>();
    const auto name = std::make_shared<std::string>();
    return {.name = "app",
            .summary = "Declare what the product is: its components and inputs",
            .commands = {
                {.name = "apply",
                 .summary = "Make a consign.toml the newest version of its app",
                 .examples = {"consign app apply -f consign.toml"},
                 .options = {required(
                     option("-f,--file", "FILE", "the app's consign.toml; - is standard input", *file))},
                 .run = [file](Context& context) { return apply_config(context, *file); }},
                {.name = "list",
                 .summary = "All apps",
                 .examples = {"consign app list -o json"},
                 .run = [](Context& context) { return list(context); }},
                {.name = "show",
                 .summary = "An app's components and inputs",
                 .examples = {"consign app show shop"},
                 .options = {positional("APP", "the app's name", *name)},
                 .run = [name](Context& context) { return show(context, *name); }},
            }};
}

} // namespace consign::cli
