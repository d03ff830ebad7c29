#include "cli/views.hpp"
#include "cli/progress.hpp"
#include <format>

namespace consign::cli {
namespace {

using namespace protocol;

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const auto& word : words) out += (out.empty() ? "" : ", ") + word;
    return out;
}

std::string value_text(const json::Value& value) {
    return value.is_string() ? value.get<std::string>() : json::dump(value);
}

std::string source_text(const model::Source& source) {
    if (source.directory) return *source.directory;
    return source.git ? source.git->url + " at " + source.git->ref : "";
}

} // namespace

Cell state_cell(std::string_view state) { return Cell(state, tone_of(state)); }

std::string waiting_text(const std::optional<WaitingFor>& waiting) {
    return waiting ? to_text(*waiting) : "";
}

void show_app(Context& context, const AppView& app) {
    if (context.json()) return context.print_json(app);
    context.print(Details()
                      .add("app", app.name)
                      .add("about", app.config.description)
                      .add("config version", app.config_version)
                      .add("changed", ago(app.updated_at, context.now())));
    Table components({"COMPONENT", "TYPE", "SOURCE", "DEPENDS ON"});
    for (const auto& component : app.config.components)
        components.add({component.name, json::name_of(component.type), source_text(component.source),
                        joined(component.depends_on)});
    context.print("\n");
    context.print(components);
    if (app.config.inputs.empty()) return;
    Table inputs({"INPUT", "TYPE", "DEFAULT", "ABOUT"});
    for (const auto& [name, input] : app.config.inputs) {
        const auto otherwise = input.sensitive && input.default_value ? "(sensitive)"
                               : input.default_value                  ? value_text(*input.default_value)
                                                                      : "(needed)";
        inputs.add({name, json::name_of(input.type), otherwise, input.description});
    }
    context.print("\n");
    context.print(inputs);
}

void show_build(Context& context, const BuildView& build) {
    if (context.json()) return context.print_json(build);
    const auto now = context.now();
    context.print(
        Details()
            .add("build", build.id.str())
            .add("component", build.app + "/" + build.component)
            .add("config version", build.config_version)
            .add("state", state_cell(json::name_of(build.state)))
            .add("waits for", waiting_text(build.waiting_for))
            .add("error", Cell(build.error, Tone::bad))
            .add("job", build.job ? build.job->str() : "")
            .add("artifact",
                 build.artifact ? build.artifact->repository + "@" + build.artifact->digest.str() : "")
            .add("source", build.source ? build.source->repository + "@" + build.source->digest.str() : "")
            .add("created", ago(build.created_at, now))
            .add("took", build.finished_at ? duration(build.created_at, build.finished_at, now) : ""));
}

void show_install(Context& context, const InstallView& install) {
    if (context.json()) return context.print_json(install);
    const auto now = context.now();
    const auto agent = !install.agent            ? "none: consign install enroll " + install.name
                       : install.agent_online    ? "online"
                       : install.agent_last_seen ? "offline, last seen " + ago(install.agent_last_seen, now)
                                                 : "offline";
    context.print(Details()
                      .add("install", install.name)
                      .add("app", install.app)
                      .add("release", install.release.empty() ? "none yet" : install.release)
                      .add("agent", Cell(agent, install.agent_online ? Tone::good : Tone::plain))
                      .add("created", ago(install.created_at, now)));
    if (!install.inputs.empty()) {
        Table inputs({"INPUT", "VALUE"});
        for (const auto& [name, value] : install.inputs) inputs.add({name, value_text(value)});
        context.print("\n");
        context.print(inputs);
    }
    if (install.components.empty()) return;
    Table components({"COMPONENT", "STATE", "RELEASE", "ARTIFACT", "HEALTH", "DRIFT", "CHANGED", "DETAIL"});
    for (const auto& component : install.components)
        components.add({component.component, state_cell(component.state), component.release,
                        component.artifact ? short_digest(*component.artifact) : "", component.health,
                        component.drift, ago(component.updated_at, now), component.detail});
    context.print("\n");
    context.print(components);
}

void show_deploy(Context& context, const DeployView& deploy) {
    if (context.json()) return context.print_json(deploy);
    const auto now = context.now();
    context.print(
        Details()
            .add(json::name_of(deploy.kind), deploy.id.str())
            .add("install", deploy.install)
            .add("app", deploy.app)
            .add("release", deploy.release)
            .add("state", state_cell(json::name_of(deploy.state)))
            .add("waits for", waiting_text(deploy.waiting_for))
            .add("since", deploy.waiting_for ? ago(deploy.waiting_for->since, now) : "")
            .add("error", Cell(deploy.error, Tone::bad))
            .add("created", ago(deploy.created_at, now))
            .add("took", deploy.finished_at ? duration(deploy.created_at, deploy.finished_at, now) : ""));
    if (deploy.jobs.empty()) return;
    context.print("\n");
    context.print(table_of_jobs(context, deploy.jobs));
}

void show_job(Context& context, const JobView& job) {
    if (context.json()) return context.print_json(job);
    const auto now = context.now();
    context.print(
        Details()
            .add("job", job.id.str())
            .add("kind", json::name_of(job.kind))
            .add("component", job.component.empty() ? "" : job.app + "/" + job.component)
            .add("install", job.install)
            .add("deploy", job.deploy ? job.deploy->str() : "")
            .add("build", job.build ? job.build->str() : "")
            .add("state", state_cell(json::name_of(job.state)))
            .add("cancel", job.cancel_requested ? "requested" : "")
            .add("waits for", waiting_text(job.waiting_for))
            .add("since", job.waiting_for ? ago(job.waiting_for->since, now) : "")
            .add("error", Cell(job.error, Tone::bad))
            .add("attempt", job.attempt > 0 ? std::format("{} of {}", job.attempt, job.max_attempts) : "")
            .add("agent", job.agent ? job.agent->str() : "")
            .add("created", ago(job.created_at, now))
            .add("took", duration(job.started_at, job.finished_at, now)));
    if (job.steps.empty()) return;
    Table steps({"ATTEMPT", "STEP", "STATE", "TOOK", "DETAIL"});
    for (const auto& step : job.steps)
        steps.add({step.attempt, step.name, state_cell(json::name_of(step.state)),
                   duration(step.started_at, step.finished_at, now), step.detail});
    context.print("\n");
    context.print(steps);
}

Table table_of_builds(Context& context, const std::vector<BuildView>& builds) {
    Table table({"BUILD", "COMPONENT", "STATE", "ARTIFACT", "CREATED", "DETAIL"});
    for (const auto& build : builds)
        table.add(
            {build.id.str(), build.app + "/" + build.component, state_cell(json::name_of(build.state)),
             build.artifact ? short_digest(build.artifact->digest) : "", ago(build.created_at, context.now()),
             build.error.empty() ? Cell(waiting_text(build.waiting_for)) : Cell(build.error, Tone::bad)});
    return table;
}

Table table_of_jobs(Context& context, const std::vector<JobView>& jobs) {
    Table table({"JOB", "KIND", "COMPONENT", "STATE", "ATTEMPT", "CREATED", "DETAIL"});
    for (const auto& job : jobs)
        table.add({job.id.str(), json::name_of(job.kind), subject_of(job),
                   state_cell(json::name_of(job.state)), job.attempt, ago(job.created_at, context.now()),
                   job.error.empty() ? Cell(waiting_text(job.waiting_for)) : Cell(job.error, Tone::bad)});
    return table;
}

} // namespace consign::cli
