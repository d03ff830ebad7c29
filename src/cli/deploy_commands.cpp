// deploy and teardown: the same request with another kind.
#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "cli/follow.hpp"
#include "cli/views.hpp"
#include <algorithm>
#include <format>

namespace consign::cli {
namespace {

using namespace protocol;

struct DeployFlags {
    CreateDeployRequest request;
    bool wait = false;
};

/// approve, reject and cancel: a word about one deploy.
struct DecisionFlags {
    std::string deploy;
    DecideRequest request;
};

bool has_ended(DeployState state) { return state != DeployState::queued && state != DeployState::running; }

std::string title_of(const DeployView& deploy) {
    return std::format("{} of {}{}", json::name_of(deploy.kind), deploy.install,
                       deploy.release.empty() ? "" : " to " + deploy.release);
}

Result<DeployView> wait_for(Context& context, DeployView deploy) {
    const auto path = path_of("/v1/deploys/", deploy.id.str());
    const Followed followed{
        .title = title_of(deploy),
        .resume = "consign deploy show " + deploy.id.str(),
        .look = [&](std::stop_token stop) -> Result<Snapshot> {
            CONSIGN_TRY(now, context.get<DeployView>(path, {}, stop));
            deploy = now;
            Snapshot snapshot{
                .jobs = deploy.jobs, .waiting_for = deploy.waiting_for, .ended = has_ended(deploy.state)};
            for (auto& job : snapshot.jobs) { // steps come only with a single job
                if (!model::is_held(job.state)) continue;
                CONSIGN_TRY(detailed, context.get<JobView>(path_of("/v1/jobs/", job.id.str()), {}, stop));
                job = detailed;
            }
            return snapshot;
        },
        .concerns = [&](const EventView& event) { return event.deploy == deploy.id; },
    };
    CONSIGN_CHECK(follow(context, followed));
    return deploy;
}

Result<int> run(Context& context, const DeployFlags& flags) {
    CONSIGN_TRY(created, context.call<DeployView>(net::Verb::post, "/v1/deploys", flags.request));
    if (!flags.wait) {
        show_deploy(context, created);
        if (!has_ended(created.state))
            context.note("see how it goes: consign deploy show " + created.id.str());
        return kDone;
    }
    CONSIGN_TRY(deploy, wait_for(context, created));
    show_deploy(context, deploy);
    if (deploy.state == DeployState::succeeded) return kDone;
    show_failed_logs(context, deploy.jobs);
    context.print_error({Code::failed,
                         std::format("{} {}{}", title_of(deploy), json::name_of(deploy.state),
                                     deploy.error.empty() ? "" : ": " + deploy.error),
                         deploy.waiting_for ? waiting_text(deploy.waiting_for) : ""});
    return kJobFailed;
}

Result<int> list(Context& context, const std::string& install) {
    CONSIGN_TRY(deploys, context.get<List<DeployView>>(
                             install.empty() ? "/v1/deploys" : path_of("/v1/deploys?install=", install)));
    Table table({"DEPLOY", "KIND", "INSTALL", "RELEASE", "STATE", "CREATED", "DETAIL"});
    for (const auto& deploy : deploys.items)
        table.add(
            {deploy.id.str(), json::name_of(deploy.kind), deploy.install, deploy.release,
             state_cell(json::name_of(deploy.state)), ago(deploy.created_at, context.now()),
             deploy.error.empty() ? Cell(waiting_text(deploy.waiting_for)) : Cell(deploy.error, Tone::bad)});
    context.print_list(deploys, table, "no deploys yet: consign deploy INSTALL");
    return kDone;
}

Result<int> show(Context& context, const std::string& id) {
    CONSIGN_TRY(deploy, context.get<DeployView>(path_of("/v1/deploys/", id)));
    show_deploy(context, deploy);
    return kDone;
}

Result<int> cancel(Context& context, const std::string& id) {
    CONSIGN_TRY(deploy, context.call<DeployView>(net::Verb::post, path_of("/v1/deploys/", id, "/cancel")));
    show_deploy(context, deploy);
    return kDone;
}

Result<int> decide(Context& context, const DecisionFlags& flags, std::string_view decision) {
    CONSIGN_TRY(deploy, context.call<DeployView>(net::Verb::post,
                                                 path_of("/v1/deploys/", flags.deploy, decision),
                                                 flags.request));
    show_deploy(context, deploy);
    return kDone;
}

std::vector<OptionSpec> wishes(const std::shared_ptr<DeployFlags>& flags) {
    return {option("--component", "C", "only this component", flags->request.component),
            option("--priority", "N",
                   "of the jobs that wait for the same agent, the highest goes first; -100 to 100, default 0",
                   flags->request.priority, -100, 100),
            toggle("--require-approval", "every job waits for `consign approve`, whatever the app says",
                   flags->request.require_approval),
            toggle("--wait", "wait for its end; exit code 7 when it failed", flags->wait)};
}

CommandSpec decision_command(std::string name, std::string summary, std::string what) {
    const auto flags = std::make_shared<DecisionFlags>();
    return {.name = name,
            .summary = std::move(summary),
            .examples = {std::format("consign {} dep_01J…", name),
                         std::format("consign {} dep_01J… --component db --reason 'checked with ops'", name)},
            .options = {positional("DEPLOY", "the deploy's id", flags->deploy),
                        option("--component", "C", std::move(what), flags->request.component),
                        option("--reason", "TEXT", "kept in the audit log", flags->request.reason)},
            .run = [flags, name](Context& context) { return decide(context, *flags, "/" + name); }};
}

} // namespace

CommandSpec approve_command() {
    return decision_command("approve", "Let the jobs of a deploy run that wait for approval",
                            "only this component's job; default all that wait now");
}

CommandSpec reject_command() {
    return decision_command("reject", "Skip the jobs of a deploy that wait for approval, and what needs them",
                            "only this component's job; default all that wait now");
}

CommandSpec deploy_command() {
    const auto flags = std::make_shared<DeployFlags>();
    const auto install = std::make_shared<std::string>();
    const auto id = std::make_shared<std::string>();
    auto options = wishes(flags);
    options.insert(options.begin(), {positional("INSTALL", "the install's name", flags->request.install),
                                     option("--release", "V", "the release to bring it to; default the newest",
                                            flags->request.release)});
    return {.name = "deploy",
            .summary = "Bring an install to a release",
            .examples = {"consign deploy acme --wait", "consign deploy acme --release 1.1 --component web",
                         "consign deploy show dep_01J…"},
            .options = std::move(options),
            .commands =
                {
                    {.name = "list",
                     .summary = "Deploys, newest first",
                     .examples = {"consign deploy list --install acme"},
                     .options = {option("--install", "NAME", "only this install's", *install)},
                     .run = [install](Context& context) { return list(context, *install); }},
                    {.name = "show",
                     .summary = "A deploy and its jobs",
                     .examples = {"consign deploy show dep_01J…"},
                     .options = {positional("ID", "the deploy's id", *id)},
                     .run = [id](Context& context) { return show(context, *id); }},
                    {.name = "cancel",
                     .summary = "End what has not begun, and ask the agent to stop the rest",
                     .examples = {"consign deploy cancel dep_01J…"},
                     .options = {positional("ID", "the deploy's id", *id)},
                     .run = [id](Context& context) { return cancel(context, *id); }},
                },
            .run = [flags](Context& context) { return run(context, *flags); }};
}

CommandSpec teardown_command() {
    const auto flags = std::make_shared<DeployFlags>();
    flags->request.kind = DeployKind::teardown;
    auto options = wishes(flags);
    options.insert(options.begin(), positional("INSTALL", "the install's name", flags->request.install));
    return {.name = "teardown",
            .summary = "Remove what runs in an install; the install itself stays",
            .examples = {"consign teardown acme --wait", "consign teardown acme --component web"},
            .options = std::move(options),
            .run = [flags](Context& context) { return run(context, *flags); }};
}

} // namespace consign::cli
