#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "cli/follow.hpp"
#include "cli/source_upload.hpp"
#include "cli/views.hpp"
#include <algorithm>
#include <format>

namespace consign::cli {
namespace {

using namespace protocol;

struct BuildFlags {
    std::vector<std::string> targets;
    std::filesystem::path source = ".";
    int priority = 0;
    bool wait = false;
};

/// App → components; an empty set means all of them.
using Targets = std::map<std::string, std::vector<std::string>>;

Result<Targets> parse_targets(const std::vector<std::string>& words) {
    Targets out;
    for (const auto& word : words) {
        const auto slash = word.find('/');
        const auto app = word.substr(0, slash);
        const auto component = slash == std::string::npos ? "" : word.substr(slash + 1);
        if (!model::is_name(app) || (slash != std::string::npos && !model::is_name(component)))
            return fail(Code::invalid_argument, std::format("'{}' is neither an app nor APP/COMPONENT", word),
                        "for example: consign build shop, or consign build shop/web");
        const auto [found, fresh] = out.try_emplace(app);
        if (component.empty() || (!fresh && found->second.empty()))
            found->second.clear(); // all include one
        else if (!std::ranges::contains(found->second, component))
            found->second.push_back(component);
    }
    return out;
}

Result<CreateBuildsRequest> prepare(Context& context, const std::string& name,
                                    const std::vector<std::string>& components,
                                    const std::filesystem::path& source) {
    CONSIGN_TRY(app, context.get<AppView>(path_of("/v1/apps/", name)));
    CONSIGN_TRY(status, context.get<StatusView>("/v1/status"));
    CreateBuildsRequest request{.app = name, .components = components, .sources = {}};
    for (const auto& wanted : components)
        if (!app.config.component(wanted)) {
            std::vector<std::string> known;
            for (const auto& component : app.config.components) known.push_back(component.name);
            const auto near = model::nearest(wanted, known);
            return fail(Code::not_found, std::format("app '{}' has no component '{}'", name, wanted),
                        near ? "did you mean '" + *near + "'?" : "consign app show " + name + " lists them");
        }
    for (const auto& component : app.config.components) {
        const bool wanted = components.empty() || std::ranges::contains(components, component.name);
        if (!wanted || !component.source.directory) continue;
        CONSIGN_TRY(reference, upload_source(context, status.registry, name, component, source));
        request.sources.emplace(component.name, reference);
    }
    return request;
}

Result<std::vector<JobView>> wait_for(Context& context, const List<BuildView>& builds) {
    std::vector<JobId> jobs;
    for (const auto& build : builds.items)
        if (build.job) jobs.push_back(*build.job);
    std::vector<JobView> seen;
    const Followed followed{
        .title = jobs.size() == 1 ? "1 build" : std::format("{} builds", jobs.size()),
        .resume = "consign build list --app " + builds.items.front().app,
        .look = [&](std::stop_token stop) -> Result<Snapshot> {
            CONSIGN_TRY(now, look_at_jobs(context, jobs, seen, stop));
            seen = now;
            const bool ended =
                std::ranges::all_of(seen, [](const JobView& job) { return model::is_terminal(job.state); });
            return Snapshot{.jobs = seen, .waiting_for = {}, .ended = ended};
        },
        .concerns =
            [&](const EventView& event) { return event.job && std::ranges::contains(jobs, *event.job); },
    };
    CONSIGN_CHECK(follow(context, followed));
    return seen;
}

Result<int> build(Context& context, const BuildFlags& flags) {
    const auto targets = parse_targets(flags.targets);
    if (!targets) return context.usage(targets.error());
    List<BuildView> builds;
    for (const auto& [app, components] : *targets) {
        CONSIGN_TRY(request, prepare(context, app, components, flags.source));
        request.priority = flags.priority;
        CONSIGN_TRY(made, context.call<List<BuildView>>(net::Verb::post, "/v1/builds", request));
        std::ranges::move(made.items, std::back_inserter(builds.items));
    }
    const auto print = [&] {
        context.print_list(builds, table_of_builds(context, builds.items), "nothing to build");
    };
    if (!flags.wait || builds.items.empty()) {
        print();
        return kDone;
    }
    CONSIGN_TRY(jobs, wait_for(context, builds));
    for (auto& view : builds.items) {
        CONSIGN_TRY(ended, context.get<BuildView>(path_of("/v1/builds/", view.id.str())));
        view = ended;
    }
    print();
    show_failed_logs(context, jobs);
    const bool good =
        std::ranges::all_of(jobs, [](const JobView& job) { return job.state == model::JobState::succeeded; });
    return good ? kDone : kJobFailed;
}

Result<int> list(Context& context, const std::string& app) {
    CONSIGN_TRY(builds,
                context.get<List<BuildView>>(app.empty() ? "/v1/builds" : path_of("/v1/builds?app=", app)));
    context.print_list(builds, table_of_builds(context, builds.items), "no builds yet: consign build APP");
    return kDone;
}

Result<int> show(Context& context, const std::string& id) {
    CONSIGN_TRY(view, context.get<BuildView>(path_of("/v1/builds/", id)));
    show_build(context, view);
    return kDone;
}

} // namespace

CommandSpec build_command() {
    const auto flags = std::make_shared<BuildFlags>();
    const auto app = std::make_shared<std::string>();
    const auto id = std::make_shared<std::string>();
    return {
        .name = "build",
        .summary = "Have a build agent turn components into artifacts",
        .examples = {"consign build shop --wait", "consign build shop/web shop/db --source ~/src/shop",
                     "consign build list --app shop"},
        .options = {positionals("APP[/COMPONENT]", "what to build; an app means all its components",
                                flags->targets),
                    option("--source", "DIR", "where the app's relative sources are; default .",
                           flags->source),
                    option("--priority", "N", "the highest goes first; -100 to 100, default 0",
                           flags->priority, -100, 100),
                    toggle("--wait", "wait until all have ended; exit code 7 when one failed", flags->wait)},
        .commands =
            {
                {.name = "list",
                 .summary = "Builds, newest first",
                 .examples = {"consign build list --app shop"},
                 .options = {option("--app", "APP", "only this app's", *app)},
                 .run = [app](Context& context) { return list(context, *app); }},
                {.name = "show",
                 .summary = "One build",
                 .examples = {"consign build show bld_01J…"},
                 .options = {positional("ID", "the build's id", *id)},
                 .run = [id](Context& context) { return show(context, *id); }},
            },
        .run = [flags](Context& context) { return build(context, *flags); }};
}

} // namespace consign::cli
