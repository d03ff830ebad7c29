#include "builds.hpp"
#include "apps.hpp"
#include "consign/protocol/naming.hpp"
#include <algorithm>
#include <format>

namespace consign::ims::builds {
namespace {

using protocol::ArtifactRef;
using protocol::BuildView;

// Until it ends, a build's state is that of its job: kept once, and a job in progress writes one row less.
constexpr std::string_view kSelect =
    "SELECT id, app, component, config_version, job, CASE WHEN finished_at IS NULL AND job IS NOT NULL THEN "
    "(SELECT j.state FROM jobs j WHERE j.id = builds.job) ELSE state END, repository, digest, "
    "source_repository, source_digest, error, created_at, finished_at FROM builds ";

std::optional<ArtifactRef> reference(const store::Row& row, int repository, int digest) {
    auto parsed = Digest::parse(row.text(digest));
    if (!parsed) return std::nullopt;
    return ArtifactRef{row.string(repository), *parsed};
}

BuildView from_row(const store::Row& row) {
    BuildView view{.id = row.id<BuildId>(0),
                   .app = row.string(1),
                   .component = row.string(2),
                   .config_version = static_cast<int>(row.integer(3))};
    if (!row.is_null(4)) view.job = row.id<JobId>(4);
    view.state = json::enum_from<model::JobState>(row.text(5)).value_or(model::JobState::failed);
    view.artifact = reference(row, 6, 7);
    view.source = reference(row, 8, 9);
    view.error = row.string(10);
    view.created_at = row.time(11);
    view.finished_at = row.optional_time(12);
    return view;
}

Result<BuildId> start(Change& change, protocol::BuildSpec spec, int priority) {
    spec.build = BuildId::make(change.now);
    Job job{.id = JobId::make(change.now),
            .kind = protocol::JobKind::build,
            .app = spec.app,
            .component = spec.component.name,
            .build = spec.build,
            .priority = priority,
            .spec = json::to_text(spec)};
    constexpr auto kQueued = *model::next(model::JobState::blocked, model::JobEvent::release);
    CONSIGN_CHECK(change.tx.execute(
        "INSERT INTO builds(id, app, component, config_version, job, state, repository, source_repository, "
        "source_digest, created_at) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)",
        {spec.build, spec.app, spec.component.name, spec.config_version, job.id, json::name_of(kQueued),
         spec.repository, spec.source ? store::Value(spec.source->repository) : store::Value(nullptr),
         spec.source ? store::Value(spec.source->digest.str()) : store::Value(nullptr), change.now}));
    CONSIGN_CHECK(jobs::enqueue(change, std::move(job)));
    return spec.build;
}

} // namespace

Result<BuildView> get(store::Connection& c, const BuildId& id) {
    CONSIGN_TRY(row, c.query_one(std::string(kSelect) + "WHERE id=$1", {id}, from_row));
    if (!row) return fail(Code::not_found, "no build " + id.str(), "see: consign build list");
    return std::move(*row);
}

Result<std::vector<BuildView>> list(store::Connection& c, std::string_view app) {
    if (app.empty()) return c.query_all(std::string(kSelect) + "ORDER BY id DESC LIMIT 200", {}, from_row);
    CONSIGN_CHECK(apps::get(c, app));
    return c.query_all(std::string(kSelect) + "WHERE app=$1 ORDER BY id DESC LIMIT 200", {app}, from_row);
}

Result<std::vector<BuildView>> create(Change& change, const protocol::CreateBuildsRequest& request,
                                      std::string_view registry_url, std::string_view actor) {
    CONSIGN_CHECK(jobs::check_priority(request.priority));
    CONSIGN_TRY(app, apps::get(change.tx, request.app));
    std::vector<std::string> wanted = request.components;
    std::vector<std::string> known;
    for (const auto& component : app.config.components) known.push_back(component.name);
    if (wanted.empty()) wanted = known;

    std::vector<BuildView> out;
    for (const auto& name : wanted) {
        const auto* component = app.config.component(name);
        if (!component) {
            const auto near = model::nearest(name, known);
            return fail(Code::not_found, std::format("app '{}' has no component '{}'", app.name, name),
                        near ? std::format("did you mean '{}'?", *near)
                             : "see: consign app show " + app.name);
        }
        protocol::BuildSpec spec{.app = app.name,
                                 .config_version = app.config_version,
                                 .component = *component,
                                 .registry = std::string(registry_url),
                                 .repository = protocol::artifact_repository(app.name, name)};
        if (const auto source = request.sources.find(name); source != request.sources.end())
            spec.source = source->second;
        if (component->source.directory && !spec.source)
            return fail(Code::invalid_argument,
                        std::format("component '{}' is built from a directory, and none was uploaded", name),
                        "run `consign build` where the directory is, or give --source");
        CONSIGN_TRY(id, start(change, std::move(spec), request.priority));
        CONSIGN_TRY(view, get(change.tx, id));
        out.push_back(std::move(view));
    }
    CONSIGN_CHECK(change.audit(actor, "build.create", app.name));
    return out;
}

Result<BuildView> record(Change& change, const protocol::RecordBuildRequest& request,
                         std::string_view actor) {
    CONSIGN_TRY(app, apps::get(change.tx, request.app));
    if (!app.config.component(request.component))
        return fail(Code::not_found,
                    std::format("app '{}' has no component '{}'", app.name, request.component));
    if (request.config_version < 1 || request.config_version > app.config_version)
        return fail(Code::invalid_argument,
                    std::format("app '{}' has no config version {}", app.name, request.config_version));
    const bool ok = request.outcome == protocol::Outcome::succeeded;
    if (ok != request.result.has_value())
        return fail(Code::invalid_argument, "a succeeded build has a result, and only that");
    const auto id = BuildId::make(change.now);
    CONSIGN_CHECK(change.tx.execute("INSERT INTO builds(id, app, component, config_version, state, "
                                    "repository, digest, error, created_at, finished_at) "
                                    "VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$9)",
                                    {id, app.name, request.component, request.config_version,
                                     json::name_of(ok ? model::JobState::succeeded : model::JobState::failed),
                                     protocol::artifact_repository(app.name, request.component),
                                     ok ? store::Value(request.result->digest.str()) : store::Value(nullptr),
                                     request.error, change.now}));
    CONSIGN_CHECK(change.event({.kind = ok ? "build.recorded" : "build.failed",
                                .app = app.name,
                                .component = request.component,
                                .detail = request.error}));
    CONSIGN_CHECK(change.audit(actor, "build.record", id.str()));
    return get(change.tx, id);
}

Result<JobId> retry(Change& change, const Job& job) {
    CONSIGN_TRY(spec, json::decode_text<protocol::BuildSpec>(job.spec));
    CONSIGN_TRY(id, start(change, std::move(spec), job.priority));
    CONSIGN_TRY(view, get(change.tx, id));
    return *view.job;
}

Result<void> follow(Change& change, const Job& job) {
    if (!model::is_terminal(job.state)) return {};
    std::optional<std::string> digest;
    std::string error = job.error;
    auto state = job.state;
    if (state == model::JobState::succeeded) {
        auto result = json::decode_text<protocol::BuildResult>(job.result);
        if (result) {
            digest = result->digest.str();
        } else {
            state = model::JobState::failed;
            error = "the agent's result is not a build result: " + result.error().message;
        }
    }
    CONSIGN_CHECK(
        change.tx.execute("UPDATE builds SET state=$2, digest=$3, error=$4, finished_at=$5 WHERE id=$1",
                          {job.build, json::name_of(state),
                           digest ? store::Value(*digest) : store::Value(nullptr), error, job.finished_at}));
    return {};
}

} // namespace consign::ims::builds
