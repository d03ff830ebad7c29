#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "cli/views.hpp"
#include "consign/model/inputs.hpp"
#include <format>

namespace consign::cli {
namespace {

using namespace protocol;
using Inputs = std::map<std::string, json::Value>;

struct InstallFlags {
    std::string name, app;
    std::vector<std::string> inputs;
    std::chrono::seconds ttl = std::chrono::hours(1);
    std::string check = "health";
};

/// The assignments typed as the app declares them; what is wrong with each of them at once.
Result<Inputs> typed_inputs(Context& context, const std::string& app,
                            const std::vector<std::string>& assignments) {
    if (assignments.empty()) return Inputs{};
    CONSIGN_TRY(view, context.get<AppView>(path_of("/v1/apps/", app)));
    Inputs out;
    std::string faults;
    for (const auto& assignment : assignments) {
        auto input = model::parse_input_assignment(view.config, assignment);
        if (input)
            out.insert_or_assign(std::move(input->first), std::move(input->second));
        else
            faults += (faults.empty() ? "" : "\n") + to_string(input.error());
    }
    if (!faults.empty())
        return fail(Code::invalid_argument, faults, "consign app show " + app + " lists the inputs");
    return out;
}

Result<int> create(Context& context, const InstallFlags& flags) {
    CONSIGN_TRY(inputs, typed_inputs(context, flags.app, flags.inputs));
    CONSIGN_TRY(install, context.call<InstallView>(net::Verb::post, "/v1/installs",
                                                   CreateInstallRequest{flags.name, flags.app, inputs}));
    show_install(context, install);
    context.note("next: consign install enroll " + install.name);
    return kDone;
}

Result<int> list(Context& context) {
    CONSIGN_TRY(installs, context.get<List<InstallView>>("/v1/installs"));
    Table table({"INSTALL", "APP", "RELEASE", "AGENT", "LAST SEEN", "COMPONENTS"});
    for (const auto& install : installs.items) {
        std::string states;
        for (const auto& component : install.components)
            states += (states.empty() ? "" : ", ") + component.component + " " + component.state;
        table.add({install.name, install.app, install.release,
                   state_cell(!install.agent         ? "none"
                              : install.agent_online ? "online"
                                                     : "offline"),
                   ago(install.agent_last_seen, context.now()), states});
    }
    context.print_list(installs, table, "no installs yet: consign install create NAME --app APP");
    return kDone;
}

Result<int> show(Context& context, const std::string& name) {
    CONSIGN_TRY(install, context.get<InstallView>(path_of("/v1/installs/", name)));
    show_install(context, install);
    return kDone;
}

Result<int> set(Context& context, const InstallFlags& flags) {
    CONSIGN_TRY(before, context.get<InstallView>(path_of("/v1/installs/", flags.name)));
    CONSIGN_TRY(inputs, typed_inputs(context, before.app, flags.inputs));
    CONSIGN_TRY(install,
                context.call<InstallView>(net::Verb::put, path_of("/v1/installs/", flags.name, "/inputs"),
                                          SetInputsRequest{inputs}));
    show_install(context, install);
    context.note("it takes effect with the next deploy: consign deploy " + install.name);
    return kDone;
}

Result<int> enroll(Context& context, const InstallFlags& flags) {
    CONSIGN_TRY(token, context.call<EnrollTokenView>(
                           net::Verb::post, path_of("/v1/installs/", flags.name, "/enroll-token"),
                           EnrollTokenRequest{static_cast<int>(flags.ttl.count())}));
    if (context.json()) {
        context.print_json(token);
        return kDone;
    }
    context.note(std::format("run this in the customer's account; the token works once, within {}:",
                             humanize(flags.ttl)));
    context.print_foreign(token.command);
    return kDone;
}

Result<int> check(Context& context, const InstallFlags& flags) {
    const RunNowRequest request{json::enum_from<JobKind>(flags.check).value_or(JobKind::health)};
    CONSIGN_TRY(job, context.call<JobView>(net::Verb::post, path_of("/v1/installs/", flags.name, "/jobs"),
                                           request));
    show_job(context, job);
    context.note("see what it finds: consign logs -f " + job.id.str());
    return kDone;
}

} // namespace

CommandSpec install_command() {
    const auto flags = std::make_shared<InstallFlags>();
    const auto name = [flags] { return positional("NAME", "the install's name", flags->name); };
    const auto inputs = [flags] {
        return option("--input", "NAME=VALUE", "an input's value, as often as needed; lists and maps as JSON",
                      flags->inputs);
    };
    return {
        .name = "install",
        .summary = "Customers' instances of an app",
        .commands = {
            {.name = "create",
             .summary = "Add a customer: an install of an app",
             .examples =
                 {"consign install create acme --app shop --input port=8080 --input 'hosts=[\"a\",\"b\"]'"},
             .options = {name(),
                         required(option("--app", "APP", "which app it is an install of", flags->app)),
                         inputs()},
             .run = [flags](Context& context) { return create(context, *flags); }},
            {.name = "list",
             .summary = "All installs",
             .examples = {"consign install list"},
             .run = [](Context& context) { return list(context); }},
            {.name = "show",
             .summary = "An install's agent, inputs and components",
             .examples = {"consign install show acme"},
             .options = {name()},
             .run = [flags](Context& context) { return show(context, flags->name); }},
            {.name = "set",
             .summary = "Change some inputs; the others stay",
             .examples = {"consign install set acme --input port=9090"},
             .options = {name(), required(inputs())},
             .run = [flags](Context& context) { return set(context, *flags); }},
            {.name = "enroll",
             .summary = "Print the command to run in the customer's account",
             .examples = {"consign install enroll acme --ttl 1h"},
             .options = {name(), option("--ttl", "TIME", "how long the token is good, 1m to 7d; default 1h",
                                        flags->ttl)},
             .run = [flags](Context& context) { return enroll(context, *flags); }},
            {.name = "check",
             .summary = "Do now what else comes by schedule",
             .examples = {"consign install check acme", "consign install check acme --what drift"},
             .options = {name(), choice("--what", "WHAT",
                                        "'health' (the default), 'drift': whether what is there is what was "
                                        "put there, or 'gc': remove artifacts nothing needs from its registry",
                                        flags->check, {"health", "drift", "gc"})},
             .run = [flags](Context& context) { return check(context, *flags); }},
        }};
}

} // namespace consign::cli
