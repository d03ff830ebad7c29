// CI mode: no job and no agent, the same builders. The user's token is the password of the registry.
#include "build/builder.hpp"
#include "consign/build/build.hpp"
#include "consign/protocol/naming.hpp"
#include "consign/protocol/vendor_registry.hpp"

namespace consign::build {
namespace {

constexpr const char* kUsername = "token";

net::Async<Result<std::string>> give(std::string token) { co_return token; }

/// The connection to one IMS for the time of a build.
class Ims {
  public:
    Ims(net::Url url, const BuildHere& request)
        : http_(io_.executor(), {.ca_file = request.ca_file}),
          api_(http_, std::move(url), [token = request.token] { return give(token.reveal()); }) {}

    template <class Answer>
    Result<Answer> get(std::string path, std::stop_token stop) {
        return io_.run(api_.get<Answer>(std::move(path)), std::move(stop));
    }
    Result<protocol::BuildView> record(protocol::RecordBuildRequest request) {
        return io_.run(
            api_.call<protocol::BuildView>(net::Verb::post, "/v1/builds/record", std::move(request)));
    }
    net::IoThread& io() { return io_; }
    net::Client& http() { return http_; }

  private:
    net::IoThread io_;
    net::Client http_;
    protocol::ApiClient api_;
};

class Run {
  public:
    Run(const BuildHere& request, Ims& ims, const protocol::AppView& app, net::Url registry,
        std::stop_token stop)
        : request_(request), ims_(ims), app_(app), registry_(std::move(registry)), stop_(std::move(stop)) {}

    /// Builds and records; the record of a failure is made even when the build was stopped.
    Result<protocol::BuildView> component(const model::Component& component) {
        auto built = build(component);
        protocol::RecordBuildRequest record{
            .app = app_.name, .component = component.name, .config_version = app_.config_version};
        if (built) {
            record.result = std::move(*built);
            return ims_.record(std::move(record));
        }
        Error error = with_context(std::move(built).error(), app_.name + "/" + component.name);
        record.outcome =
            error.code == Code::cancelled ? protocol::Outcome::cancelled : protocol::Outcome::failed;
        record.error = to_string(error);
        if (const auto recorded = ims_.record(std::move(record)); !recorded)
            say(component, "the failure could not be recorded: " + to_string(recorded.error()) + "\n");
        return std::unexpected(std::move(error));
    }

  private:
    Result<protocol::BuildResult> build(const model::Component& component) {
        CONSIGN_TRY(builder, builder_for(component.type));
        CONSIGN_TRY(scratch, TemporaryDirectory::make("consign-build-"));
        const auto log = [this, &component](std::string_view text) { say(component, text); };
        log("fetch source\n");
        CONSIGN_TRY(source,
                    component.source.git
                        ? git_source(*component.source.git, scratch.path(), log, stop_)
                        : local_source(request_.source_root, component.source.directory.value_or(".")));
        if (stop_.stop_requested()) return fail(Code::cancelled, "the build was stopped");
        BuildContext context{.app = app_.name,
                             .component = component,
                             .source = std::move(source),
                             .registry = registry_,
                             .repository = protocol::artifact_repository(app_.name, component.name),
                             .username = kUsername,
                             .password = [this]() -> Result<std::string> { return request_.token.reveal(); },
                             .io = ims_.io(),
                             .http = ims_.http(),
                             .scratch = scratch.path(),
                             .stop = stop_,
                             .step = [log](std::string_view name) { log(std::string(name) + "\n"); },
                             .log = log};
        return builder->build(context);
    }

    /// Each line with the component in front, like the lines of several builds in one CI log should be.
    void say(const model::Component& component, std::string_view text) const {
        if (!request_.log) return;
        while (!text.empty()) {
            const auto line = text.substr(0, text.find('\n'));
            text.remove_prefix(std::min(line.size() + 1, text.size()));
            if (!line.empty()) request_.log(component.name + ": " + std::string(line));
        }
    }

    const BuildHere& request_;
    Ims& ims_;
    const protocol::AppView& app_;
    net::Url registry_;
    std::stop_token stop_;
};

Result<std::vector<const model::Component*>> wanted(const protocol::AppView& app, const std::string& name) {
    std::vector<const model::Component*> components;
    for (const auto& component : app.config.components)
        if (name.empty() || component.name == name) components.push_back(&component);
    if (!components.empty()) return components;
    std::vector<std::string> known;
    for (const auto& component : app.config.components) known.push_back(component.name);
    const auto near = model::nearest(name, known);
    return fail(Code::not_found, "app " + app.name + " has no component '" + name + "'",
                near ? "did you mean '" + *near + "'?" : "see `consign app show " + app.name + "`");
}

} // namespace

Result<std::vector<protocol::BuildView>> build_here(const BuildHere& request, std::stop_token stop) {
    CONSIGN_TRY(url, net::Url::parse(request.ims));
    Ims ims(url, request);
    CONSIGN_TRY(app, ims.get<protocol::AppView>("/v1/apps/" + net::percent_encode(request.app), stop));
    CONSIGN_TRY(status, ims.get<protocol::StatusView>("/v1/status", stop));
    CONSIGN_TRY(registry, protocol::vendor_registry(status.registry, url));
    CONSIGN_TRY(components, wanted(app, request.component));
    Run run(request, ims, app, registry, stop);
    std::vector<protocol::BuildView> views;
    for (const auto* component : components) {
        CONSIGN_TRY(view, run.component(*component));
        views.push_back(std::move(view));
    }
    return views;
}

} // namespace consign::build
