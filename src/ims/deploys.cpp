#include "deploys.hpp"
#include "apps.hpp"
#include "consign/model/inputs.hpp"
#include "consign/model/template_scope.hpp"
#include "installs.hpp"
#include "views.hpp"
#include <algorithm>
#include <format>

namespace consign::ims::deploys {
namespace {

using model::JobState;
using protocol::DeployKind;
using protocol::DeployState;
using protocol::DeployView;

/// What who asked for the deploy wants for all of its jobs.
struct Wishes {
    int priority = 0;
    bool require_approval = false;
};

struct Deploy {
    DeployId id;
    InstallId install;
    DeployKind kind = DeployKind::deploy;
    std::string release, component;
    DeployState state = DeployState::queued;
    std::string error;
    Time created_at{};
    std::optional<Time> finished_at;
    Wishes wishes;
};

constexpr std::string_view kColumns =
    "id, install, kind, release, component, state, error, created_at, finished_at, priority, "
    "require_approval";

Result<std::vector<Deploy>> find(store::Connection& c, std::string_view where,
                                 std::initializer_list<store::Value> parameters) {
    return c.query_all(
        std::format("SELECT {} FROM deploys WHERE {}", kColumns, where), parameters,
        [](const store::Row& row) {
            return Deploy{.id = row.id<DeployId>(0),
                          .install = row.id<InstallId>(1),
                          .kind = json::enum_from<DeployKind>(row.text(2)).value_or(DeployKind::deploy),
                          .release = row.string(3),
                          .component = row.string(4),
                          .state = json::enum_from<DeployState>(row.text(5)).value_or(DeployState::failed),
                          .error = row.string(6),
                          .created_at = row.time(7),
                          .finished_at = row.optional_time(8),
                          .wishes = {.priority = static_cast<int>(row.integer(9)),
                                     .require_approval = row.boolean(10)}};
        });
}

Result<Deploy> find_one(store::Connection& c, const DeployId& id) {
    CONSIGN_TRY(found, find(c, "id=$1", {id}));
    if (found.empty()) return fail(Code::not_found, "no deploy " + id.str());
    return std::move(found.front());
}

Result<void> set_state(Change& change, const Deploy& deploy, DeployState state, std::string_view error) {
    const bool done = state != DeployState::queued && state != DeployState::running;
    CONSIGN_CHECK(change.tx.execute(
        "UPDATE deploys SET state=$2, error=$3, finished_at=$4 WHERE id=$1",
        {deploy.id, json::name_of(state), error, done ? std::optional(change.now) : std::nullopt}));
    CONSIGN_TRY(install, installs::by_id(change.tx, deploy.install));
    return change.event({.kind = "deploy." + std::string(json::name_of(state)),
                         .app = install.app,
                         .install = install.id.str(),
                         .deploy = deploy.id,
                         .detail = std::string(error)});
}

Result<std::vector<model::Component>> selected(const model::AppConfig& config, std::string_view component) {
    if (component.empty()) return config.components;
    if (const auto* one = config.component(component)) return std::vector{*one};
    return fail(Code::not_found, std::format("app '{}' has no component '{}'", config.app, component));
}

/// A job of the deploy for one component, as the component wants its jobs treated.
Job job_for(const Deploy& deploy, const installs::Install& install, const JobId& id, protocol::JobKind kind,
            const model::Component& component) {
    return {.id = id,
            .kind = kind,
            .app = install.app,
            .component = component.name,
            .install = install.id,
            .deploy = deploy.id,
            .priority = deploy.wishes.priority,
            .max_attempts = component.max_attempts,
            .run_limit = std::chrono::seconds(component.timeout_s),
            .needs_approval =
                deploy.wishes.require_approval || component.approval == model::Approval::required};
}

/// One apply job per component; each waits for those it depends on.
Result<void> plan_deploy(Change& change, const Deploy& deploy, const installs::Install& install,
                         const protocol::ReleaseView& release) {
    CONSIGN_TRY(app, apps::get(change.tx, install.app));
    CONSIGN_TRY(config, apps::config_at(change.tx, app.id, release.config_version));
    // Inputs of the release's own config; names that only a newer config has are left out.
    auto given = install.inputs;
    std::erase_if(given, [&](const auto& item) {
        return !config.inputs.contains(item.first) && app.config.inputs.contains(item.first);
    });
    CONSIGN_TRY(inputs, model::resolve_inputs(config, given));
    CONSIGN_TRY(components, selected(config, deploy.component));
    std::vector<std::string> sensitive;
    for (const auto& [name, input] : config.inputs)
        if (input.sensitive) sensitive.push_back(name);

    std::map<std::string, protocol::ArtifactRef> artifacts;
    for (const auto& part : release.components) artifacts[part.component] = part.artifact;
    std::map<std::string, JobId> job_of;
    for (const auto& component : components) job_of[component.name] = JobId::make(change.now);

    for (const auto& component : components) {
        protocol::ApplySpec spec{.install = install.id,
                                 .install_name = install.name,
                                 .app = install.app,
                                 .release = release.version,
                                 .component = component,
                                 .inputs = inputs,
                                 .sensitive = sensitive,
                                 .artifact = artifacts.at(component.name)};
        for (const auto& name : model::dependencies_of(config, component.name))
            spec.dependencies[name] = artifacts.at(name);
        std::vector<JobId> after;
        for (const auto& dependency : component.depends_on)
            if (const auto job = job_of.find(dependency); job != job_of.end()) after.push_back(job->second);
        auto job = job_for(deploy, install, job_of.at(component.name), protocol::JobKind::apply, component);
        job.spec = json::to_text(spec);
        CONSIGN_CHECK(jobs::insert(change, std::move(job), after));
    }
    return {};
}

/// One teardown job per component that is there; each waits for those that depend on it. Planned when the
/// teardown's turn comes: a deploy before it may have brought components, or taken some away.
Result<void> plan_teardown(Change& change, const Deploy& deploy, const installs::Install& install) {
    CONSIGN_TRY(app, apps::get(change.tx, install.app));
    CONSIGN_TRY(present, installs::components(change.tx, install));
    std::set<std::string> wanted;
    for (const auto& part : present)
        if (part.state != "absent" && (deploy.component.empty() || part.component == deploy.component))
            wanted.insert(part.component);
    // Dependents first: a dependency row may only name a job that is stored, and the ids are in the order in
    // which the jobs may run.
    std::vector<std::string> order;
    for (const auto& component : app.config.components) order.push_back(component.name);
    for (const auto& name : wanted)
        if (std::ranges::find(order, name) == order.end()) order.push_back(name); // dropped from the app since
    std::ranges::reverse(order);
    std::map<std::string, JobId> job_of;
    for (const auto& name : order)
        if (wanted.contains(name)) job_of[name] = JobId::make(change.now);
    std::map<std::string, std::vector<JobId>> after;
    for (const auto& component : app.config.components)
        if (job_of.contains(component.name))
            for (const auto& dependency : component.depends_on)
                after[dependency].push_back(job_of[component.name]);
    for (const auto& name : order) {
        const auto job = job_of.find(name);
        if (job == job_of.end()) continue;
        protocol::TeardownSpec spec{
            .install = install.id, .install_name = install.name, .app = install.app, .component = name};
        model::Component dropped; // what the app does not have any more has no wishes
        dropped.name = name;
        const auto* known = app.config.component(name);
        auto planned = job_for(deploy, install, job->second, protocol::JobKind::teardown,
                               known ? *known : dropped);
        planned.spec = json::to_text(spec);
        CONSIGN_CHECK(jobs::insert(change, std::move(planned), after[name]));
    }
    return {};
}

Result<void> start_next(Change& change, const InstallId& install);

/// Ends the deploy once its last job has ended.
Result<void> finish_if_done(Change& change, const Deploy& deploy) {
    std::map<JobState, int> count;
    std::string failure, other; // the first of each, in the order of the components
    CONSIGN_CHECK(change.tx.query(
        "SELECT state, component, error FROM jobs WHERE deploy=$1 ORDER BY id", {deploy.id},
        [&](const store::Row& row) {
            const auto state = json::enum_from<JobState>(row.text(0)).value_or(JobState::failed);
            ++count[state];
            auto& first = state == JobState::failed || state == JobState::timed_out ? failure : other;
            if (first.empty() && state != JobState::succeeded)
                first = std::format("{}: {}", row.text(1), row.text(2));
            return true;
        }));
    for (const auto& [state, n] : count)
        if (!model::is_terminal(state)) return {};
    const bool failed = count[JobState::failed] || count[JobState::timed_out];
    const auto state = failed                                                   ? DeployState::failed
                       : count[JobState::cancelled] || count[JobState::skipped] ? DeployState::cancelled
                                                                                : DeployState::succeeded;
    CONSIGN_CHECK(set_state(change, deploy, state, failed ? failure : other));
    if (state == DeployState::succeeded && deploy.component.empty())
        CONSIGN_CHECK(installs::set_release(change, deploy.install, deploy.release));
    return start_next(change, deploy.install);
}

/// Starts the oldest waiting deploy of the install if none runs: its jobs may now be queued.
Result<void> start_next(Change& change, const InstallId& id) {
    CONSIGN_TRY(live, find(change.tx, "install=$1 AND state IN ('queued', 'running') ORDER BY id", {id}));
    if (live.empty() ||
        std::ranges::any_of(live, [](const Deploy& d) { return d.state == DeployState::running; }))
        return {};
    Deploy& next = live.front();
    next.state = DeployState::running;
    CONSIGN_CHECK(set_state(change, next, DeployState::running, ""));
    if (next.kind == DeployKind::teardown) {
        CONSIGN_TRY(install, installs::by_id(change.tx, id));
        CONSIGN_CHECK(plan_teardown(change, next, install));
    }
    CONSIGN_TRY(waiting, jobs::find(change.tx, "deploy=$1 AND state='blocked' ORDER BY id", {next.id}));
    for (const auto& job : waiting) CONSIGN_CHECK(jobs::release_ready(change, job.id));
    // With nothing to do (a teardown of what is not there) there is no job to end it.
    return waiting.empty() ? finish_if_done(change, next) : Result<void>{};
}

/// A component that neither the app nor the install knows is a typo.
Result<void> check_teardown(store::Connection& c, const installs::Install& install,
                            std::string_view component) {
    if (component.empty()) return {};
    CONSIGN_TRY(app, apps::get(c, install.app));
    CONSIGN_TRY(present, installs::components(c, install));
    if (app.config.component(component) ||
        std::ranges::any_of(present, [&](const auto& part) { return part.component == component; }))
        return {};
    return fail(Code::not_found, std::format("install '{}' has no component '{}'", install.name, component),
                "see: consign install show " + install.name);
}

Result<DeployView> to_view(store::Connection& c, const Deploy& deploy) {
    CONSIGN_TRY(install, installs::by_id(c, deploy.install));
    return DeployView{.id = deploy.id,
                      .kind = deploy.kind,
                      .install = install.name,
                      .app = install.app,
                      .release = deploy.release,
                      .state = deploy.state,
                      .error = deploy.error,
                      .created_at = deploy.created_at,
                      .finished_at = deploy.finished_at};
}

} // namespace

Result<DeployId> create(Change& change, const protocol::CreateDeployRequest& request,
                        std::string_view actor) {
    CONSIGN_TRY(install, installs::get(change.tx, request.install));
    CONSIGN_CHECK(jobs::check_priority(request.priority));
    const bool down = request.kind == DeployKind::teardown;
    if (down && !request.release.empty()) return fail(Code::invalid_argument, "a teardown takes no release");
    std::optional<protocol::ReleaseView> release;
    if (down) {
        CONSIGN_CHECK(check_teardown(change.tx, install, request.component));
    } else {
        CONSIGN_TRY(found, apps::release(change.tx, install.app, request.release));
        release = std::move(found);
    }
    const Deploy deploy{.id = DeployId::make(change.now),
                        .install = install.id,
                        .kind = request.kind,
                        .release = release ? release->version : std::string{},
                        .component = request.component,
                        .wishes = {.priority = request.priority,
                                   .require_approval = request.require_approval}};
    CONSIGN_CHECK(change.tx.execute(
        "INSERT INTO deploys(id, install, kind, release, component, state, actor, created_at, priority, "
        "require_approval) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)",
        {deploy.id, install.id, json::name_of(deploy.kind), deploy.release, deploy.component,
         json::name_of(deploy.state), actor, change.now, deploy.wishes.priority,
         deploy.wishes.require_approval}));
    if (release) CONSIGN_CHECK(plan_deploy(change, deploy, install, *release));
    CONSIGN_CHECK(change.audit(actor, std::string(json::name_of(request.kind)), install.name,
                               release ? release->version : std::string{}));
    CONSIGN_CHECK(start_next(change, install.id));
    return deploy.id;
}

Result<DeployId> retry(Change& change, const DeployId& id, std::string_view actor) {
    CONSIGN_TRY(deploy, find_one(change.tx, id));
    CONSIGN_TRY(install, installs::by_id(change.tx, deploy.install));
    return create(change,
                  {.install = install.name,
                   .kind = deploy.kind,
                   .release = deploy.release,
                   .component = deploy.component,
                   .priority = deploy.wishes.priority,
                   .require_approval = deploy.wishes.require_approval},
                  actor);
}

namespace {

/// The jobs of the deploy that a person's word is about.
Result<std::vector<Job>> undecided(store::Connection& c, const DeployId& id, std::string_view component) {
    CONSIGN_CHECK(find_one(c, id));
    CONSIGN_TRY(waiting, jobs::find(c,
                                    "deploy=$1 AND deploy IS NOT NULL AND state='awaiting_approval' AND "
                                    "($2='' OR component=$2) ORDER BY id",
                                    {id, component}));
    if (waiting.empty())
        return fail(Code::conflict,
                    std::format("nothing{}{} waits for approval in deploy {}", component.empty() ? "" : " of ",
                                component, id.str()),
                    "see: consign deploy show " + id.str());
    return std::move(waiting);
}

} // namespace

Result<void> approve(Change& change, const DeployId& id, const protocol::DecideRequest& request,
                     std::string_view actor) {
    CONSIGN_TRY(waiting, undecided(change.tx, id, request.component));
    for (auto& job : waiting) CONSIGN_CHECK(jobs::approve(change, std::move(job), actor));
    return change.audit(actor, "deploy.approve", id.str(), request.reason);
}

Result<void> reject(Change& change, const DeployId& id, const protocol::DecideRequest& request,
                    std::string_view actor) {
    CONSIGN_TRY(waiting, undecided(change.tx, id, request.component));
    CONSIGN_CHECK(change.audit(actor, "deploy.reject", id.str(), request.reason));
    for (auto& job : waiting) CONSIGN_CHECK(jobs::reject(change, std::move(job), actor, request.reason));
    return {};
}

Result<void> cancel(Change& change, const DeployId& id, std::string_view actor) {
    CONSIGN_TRY(deploy, find_one(change.tx, id));
    if (deploy.state != DeployState::queued && deploy.state != DeployState::running)
        return fail(Code::conflict, std::format("deploy {} has ended already: {}", id.str(),
                                                json::name_of(deploy.state)));
    CONSIGN_CHECK(change.audit(actor, "deploy.cancel", id.str()));
    // A job is stored after those it depends on, so the newest come first.
    CONSIGN_TRY(all, jobs::find(change.tx, "deploy=$1 AND deploy IS NOT NULL ORDER BY id DESC", {id}));
    for (const auto& job : all)
        if (!model::is_terminal(job.state)) CONSIGN_CHECK(jobs::cancel(change, job.id, actor));
    CONSIGN_TRY(after, find_one(change.tx, id));
    if (after.state == DeployState::queued) { // a teardown whose jobs are not planned yet has none to end it
        CONSIGN_CHECK(set_state(change, after, DeployState::cancelled, std::format("cancelled by {}", actor)));
        return start_next(change, after.install);
    }
    return {};
}

Result<bool> is_running(store::Connection& c, const DeployId& id) {
    CONSIGN_TRY(deploy, find_one(c, id));
    return deploy.state == DeployState::running;
}

Result<void> follow_component(Change& change, const Job& job) {
    if (!model::is_terminal(job.state) || job.state == JobState::skipped || !job.started_at)
        return {}; // nothing was touched, or not yet
    const auto result =
        json::decode_text<protocol::ApplyResult>(job.result).value_or(protocol::ApplyResult{});
    protocol::InstallComponentView view{.component = job.component,
                                        .release = result.active_release,
                                        .artifact = result.active,
                                        .detail = job.error,
                                        .job = job.id};
    if (job.result ==
        "{}") { // an agent that vanished said nothing: what ran before is the best that is known
        CONSIGN_TRY(install, installs::by_id(change.tx, job.install));
        CONSIGN_TRY(known, installs::components(change.tx, install));
        for (auto& before : known)
            if (before.component == job.component) {
                view.release = std::move(before.release);
                view.artifact = std::move(before.artifact);
            }
    }
    if (job.kind == protocol::JobKind::teardown)
        view.state = job.state == JobState::succeeded ? "absent" : "failed";
    else if (job.state == JobState::succeeded)
        view.state = "running";
    else
        view.state = result.rolled_back ? "rolled_back" : "failed";
    return installs::set_component(change, job.install, view);
}

Result<void> follow(Change& change, const Job& job) {
    if (!model::is_terminal(job.state)) return {};
    CONSIGN_TRY(deploy, find_one(change.tx, job.deploy));
    if (deploy.state != DeployState::running && deploy.state != DeployState::queued) return {};
    return finish_if_done(change, deploy);
}

Result<DeployView> get(store::Connection& c, const DeployId& id) {
    CONSIGN_TRY(deploy, find_one(c, id));
    CONSIGN_TRY(view, to_view(c, deploy));
    CONSIGN_TRY(all, jobs::find(c, "deploy=$1 ORDER BY id", {id}));
    for (const auto& job : all) {
        CONSIGN_TRY(job_view, views::job(c, job, views::Detail::summary));
        view.jobs.push_back(std::move(job_view));
    }
    if (deploy.state == DeployState::queued) {
        CONSIGN_TRY(ahead, find(c, "install=$1 AND state IN ('queued', 'running') ORDER BY id LIMIT 1",
                                {deploy.install}));
        if (!ahead.empty())
            view.waiting_for =
                protocol::WaitingFor{.reason = protocol::WaitReason::deploy,
                                     .what = std::format("deploy {} of the same install",
                                                         ahead.front().id.str()),
                                     .hint = "it starts by itself when that one has ended",
                                     .since = deploy.created_at};
    }
    return std::move(view);
}

Result<std::vector<DeployView>> list(store::Connection& c, std::string_view install_name) {
    std::vector<Deploy> found;
    if (install_name.empty()) {
        CONSIGN_TRY(all, find(c, "1=1 ORDER BY id DESC LIMIT 200", {}));
        found = std::move(all);
    } else {
        CONSIGN_TRY(install, installs::get(c, install_name));
        CONSIGN_TRY(of_install, find(c, "install=$1 ORDER BY id DESC LIMIT 200", {install.id}));
        found = std::move(of_install);
    }
    std::vector<DeployView> out;
    for (const auto& deploy : found) {
        CONSIGN_TRY(view, to_view(c, deploy));
        out.push_back(std::move(view));
    }
    return out;
}

} // namespace consign::ims::deploys
