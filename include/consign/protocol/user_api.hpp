#pragma once
// The half of the API that people, CI and the client use (docs/protocol.md). Lists answer {"items": […]}.
#include "consign/protocol/agent_api.hpp"

namespace consign::protocol {

template <class T>
struct List {
    std::vector<T> items;
    static constexpr auto fields(auto& self, auto&& f) { f("items", self.items); }
};

/// PUT /v1/apps/{app}
struct ApplyAppRequest {
    std::string toml;
    std::string file_name = "consign.toml"; ///< for messages
    static constexpr auto fields(auto& self, auto&& f) {
        f("toml", self.toml);
        f("file_name", self.file_name, json::kDefaulted);
    }
};
struct AppView {
    AppId id;
    std::string name;
    int config_version = 0;
    bool changed = false; ///< in the answer to PUT: whether this made a new version
    Time updated_at{};
    model::AppConfig config;
    static constexpr auto fields(auto& self, auto&& f) {
        f("id", self.id);
        f("name", self.name);
        f("config_version", self.config_version);
        f("changed", self.changed, json::kDefaulted);
        f("updated_at", self.updated_at);
        f("config", self.config);
    }
};

/// POST /v1/builds: one build (and job) per component.
struct CreateBuildsRequest {
    std::string app;
    std::vector<std::string> components;        ///< empty: all
    std::map<std::string, ArtifactRef> sources; ///< component → its uploaded source tree
    int priority = 0;                           ///< −100..100; the highest goes first
    static constexpr auto fields(auto& self, auto&& f) {
        f("app", self.app);
        f("components", self.components, json::kDefaulted);
        f("sources", self.sources, json::kDefaulted);
        f("priority", self.priority, json::kDefaulted);
    }
};
/// POST /v1/builds/record: a build that ran elsewhere (CI). The artifact must be in the vendor registry.
struct RecordBuildRequest {
    std::string app;
    std::string component;
    int config_version = 0;
    Outcome outcome = Outcome::succeeded;
    std::string error;
    std::optional<BuildResult> result;
    static constexpr auto fields(auto& self, auto&& f) {
        f("app", self.app);
        f("component", self.component);
        f("config_version", self.config_version);
        f("outcome", self.outcome);
        f("error", self.error, json::kDefaulted);
        f("result", self.result);
    }
};
struct BuildView {
    BuildId id;
    std::string app, component;
    int config_version = 0;
    std::optional<JobId> job; ///< none for a recorded build
    model::JobState state = model::JobState::queued;
    std::optional<ArtifactRef> artifact;
    std::optional<ArtifactRef> source;
    std::string error;
    Time created_at{};
    std::optional<Time> finished_at;
    std::optional<WaitingFor> waiting_for;
    static constexpr auto fields(auto& self, auto&& f) {
        f("id", self.id);
        f("app", self.app);
        f("component", self.component);
        f("config_version", self.config_version);
        f("job", self.job);
        f("state", self.state);
        f("artifact", self.artifact);
        f("source", self.source);
        f("error", self.error, json::kDefaulted);
        f("created_at", self.created_at);
        f("finished_at", self.finished_at);
        f("waiting_for", self.waiting_for);
    }
};

/// POST /v1/apps/{app}/releases: the newest successful build of each component.
struct CreateReleaseRequest {
    std::string version; ///< empty: the next whole number
    static constexpr auto fields(auto& self, auto&& f) { f("version", self.version, json::kDefaulted); }
};
struct ReleaseComponent {
    std::string component;
    BuildId build;
    ArtifactRef artifact;
    static constexpr auto fields(auto& self, auto&& f) {
        f("component", self.component);
        f("build", self.build);
        f("artifact", self.artifact);
    }
};
struct ReleaseView {
    ReleaseId id;
    std::string app, version;
    int config_version = 0;
    std::vector<ReleaseComponent> components;
    Time created_at{};
    static constexpr auto fields(auto& self, auto&& f) {
        f("id", self.id);
        f("app", self.app);
        f("version", self.version);
        f("config_version", self.config_version);
        f("components", self.components);
        f("created_at", self.created_at);
    }
};

/// POST /v1/installs
struct CreateInstallRequest {
    std::string name, app;
    std::map<std::string, json::Value> inputs;
    static constexpr auto fields(auto& self, auto&& f) {
        f("name", self.name);
        f("app", self.app);
        f("inputs", self.inputs, json::kDefaulted);
    }
};
/// PUT /v1/installs/{name}/inputs: replaces the given names, keeps the others.
struct SetInputsRequest {
    std::map<std::string, json::Value> inputs;
    static constexpr auto fields(auto& self, auto&& f) { f("inputs", self.inputs); }
};
struct InstallComponentView {
    std::string component;
    std::string release; ///< what runs now; empty: nothing
    std::optional<Digest> artifact;
    std::string state; ///< "running", "rolled_back", "failed" (`release` is what still runs), "absent"
    std::string detail;
    std::string health; ///< what the last health job found: "", "healthy", or what is wrong
    std::string drift;  ///< what the last drift job found: "", "none", or what differs
    std::optional<JobId> job; ///< the last one
    std::optional<Time> updated_at;
    static constexpr auto fields(auto& self, auto&& f) {
        f("component", self.component);
        f("release", self.release, json::kDefaulted);
        f("artifact", self.artifact);
        f("state", self.state);
        f("detail", self.detail, json::kDefaulted);
        f("health", self.health, json::kDefaulted);
        f("drift", self.drift, json::kDefaulted);
        f("job", self.job);
        f("updated_at", self.updated_at);
    }
};
struct InstallView {
    InstallId id;
    std::string name, app;
    std::map<std::string, json::Value> inputs; ///< sensitive values read "(sensitive)"
    std::optional<AgentId> agent;
    bool agent_online = false;
    std::optional<Time> agent_last_seen;
    std::string release; ///< of the last successful deploy
    std::vector<InstallComponentView> components;
    Time created_at{};
    static constexpr auto fields(auto& self, auto&& f) {
        f("id", self.id);
        f("name", self.name);
        f("app", self.app);
        f("inputs", self.inputs);
        f("agent", self.agent);
        f("agent_online", self.agent_online, json::kDefaulted);
        f("agent_last_seen", self.agent_last_seen);
        f("release", self.release, json::kDefaulted);
        f("components", self.components, json::kDefaulted);
        f("created_at", self.created_at);
    }
};
/// POST /v1/installs/{name}/enroll-token and POST /v1/agents/enroll-token (a build agent)
struct EnrollTokenRequest {
    int ttl_s = 3600; ///< 60..604800
    static constexpr auto fields(auto& self, auto&& f) { f("ttl_s", self.ttl_s, json::kDefaulted); }
};
struct EnrollTokenView {
    std::string token;
    Time expires_at{};
    std::string command; ///< to run where the agent shall live
    static constexpr auto fields(auto& self, auto&& f) {
        f("token", self.token);
        f("expires_at", self.expires_at);
        f("command", self.command);
    }
};

/// POST /v1/deploys
struct CreateDeployRequest {
    std::string install;
    DeployKind kind = DeployKind::deploy;
    std::string release;   ///< version; empty: the newest
    std::string component; ///< empty: all
    int priority = 0;      ///< −100..100; of the jobs that wait for the same agent the highest goes first
    bool require_approval = false; ///< every job waits for a person, whatever its component says
    static constexpr auto fields(auto& self, auto&& f) {
        f("install", self.install);
        f("kind", self.kind, json::kDefaulted);
        f("release", self.release, json::kDefaulted);
        f("component", self.component, json::kDefaulted);
        f("priority", self.priority, json::kDefaulted);
        f("require_approval", self.require_approval, json::kDefaulted);
    }
};
/// POST /v1/deploys/{id}/approve and /reject: what waits for approval now, all of it or one component.
struct DecideRequest {
    std::string component; ///< empty: all
    std::string reason;    ///< kept in the audit log and, of a rejection, in the jobs
    static constexpr auto fields(auto& self, auto&& f) {
        f("component", self.component, json::kDefaulted);
        f("reason", self.reason, json::kDefaulted);
    }
};
/// POST /v1/installs/{name}/jobs: a scheduled kind, now.
struct RunNowRequest {
    JobKind kind = JobKind::health;
    static constexpr auto fields(auto& self, auto&& f) { f("kind", self.kind); }
};
struct StepView {
    int attempt = 1;
    int seq = 0;
    std::string name;
    StepState state = StepState::running;
    std::string detail;
    Time started_at{};
    std::optional<Time> finished_at;
    static constexpr auto fields(auto& self, auto&& f) {
        f("attempt", self.attempt);
        f("seq", self.seq);
        f("name", self.name);
        f("state", self.state);
        f("detail", self.detail, json::kDefaulted);
        f("started_at", self.started_at);
        f("finished_at", self.finished_at);
    }
};
struct JobView {
    JobId id;
    JobKind kind = JobKind::build;
    std::string app, component;
    std::string install; ///< name; empty for builds
    std::optional<DeployId> deploy;
    std::optional<BuildId> build;
    model::JobState state = model::JobState::queued;
    int priority = 0;
    int attempt = 0, max_attempts = 3;
    std::int64_t epoch = 0;
    std::optional<AgentId> agent;
    std::optional<Time> deadline; ///< of the lease
    std::optional<Time> limit_at; ///< when the engine ends this state: the queue, run or stop limit
    bool cancel_requested = false;
    std::string error;
    json::Value result;
    std::optional<WaitingFor> waiting_for;
    std::vector<StepView> steps; ///< only when one job is asked for
    Time created_at{};
    Time since{}; ///< when it came into its state
    std::optional<Time> started_at, finished_at;
    static constexpr auto fields(auto& self, auto&& f) {
        f("id", self.id);
        f("kind", self.kind);
        f("app", self.app);
        f("component", self.component);
        f("install", self.install, json::kDefaulted);
        f("deploy", self.deploy);
        f("build", self.build);
        f("state", self.state);
        f("priority", self.priority, json::kDefaulted);
        f("attempt", self.attempt);
        f("max_attempts", self.max_attempts);
        f("epoch", self.epoch);
        f("agent", self.agent);
        f("deadline", self.deadline);
        f("limit_at", self.limit_at);
        f("cancel_requested", self.cancel_requested, json::kDefaulted);
        f("error", self.error, json::kDefaulted);
        f("result", self.result, json::kDefaulted);
        f("waiting_for", self.waiting_for);
        f("steps", self.steps, json::kDefaulted);
        f("created_at", self.created_at);
        f("since", self.since, json::kDefaulted);
        f("started_at", self.started_at);
        f("finished_at", self.finished_at);
    }
};
struct DeployView {
    DeployId id;
    DeployKind kind = DeployKind::deploy;
    std::string install, app, release;
    DeployState state = DeployState::queued;
    std::string error;
    std::vector<JobView> jobs;
    std::optional<WaitingFor> waiting_for;
    Time created_at{};
    std::optional<Time> finished_at;
    static constexpr auto fields(auto& self, auto&& f) {
        f("id", self.id);
        f("kind", self.kind);
        f("install", self.install);
        f("app", self.app);
        f("release", self.release, json::kDefaulted);
        f("state", self.state);
        f("error", self.error, json::kDefaulted);
        f("jobs", self.jobs, json::kDefaulted);
        f("waiting_for", self.waiting_for);
        f("created_at", self.created_at);
        f("finished_at", self.finished_at);
    }
};

struct AgentView {
    AgentId id;
    AgentKind kind = AgentKind::install;
    std::string install; ///< name
    std::string version, hostname;
    std::vector<std::string> job_kinds; ///< what it can run; empty: it never said
    bool online = false, revoked = false;
    bool draining = false; ///< finishes what it has and takes nothing new
    std::optional<Time> last_seen;
    Time enrolled_at{};
    static constexpr auto fields(auto& self, auto&& f) {
        f("id", self.id);
        f("kind", self.kind);
        f("install", self.install, json::kDefaulted);
        f("version", self.version);
        f("hostname", self.hostname);
        f("job_kinds", self.job_kinds, json::kDefaulted);
        f("online", self.online);
        f("revoked", self.revoked);
        f("draining", self.draining, json::kDefaulted);
        f("last_seen", self.last_seen);
        f("enrolled_at", self.enrolled_at);
    }
};

inline constexpr int kLongestTokenDays = 3650;

/// POST /v1/tokens; `token` is in the answer to that alone.
struct CreateTokenRequest {
    std::string name;
    Role role = Role::viewer;
    int ttl_days = 0; ///< 0: does not expire; at most kLongestTokenDays
    static constexpr auto fields(auto& self, auto&& f) {
        f("name", self.name);
        f("role", self.role);
        f("ttl_days", self.ttl_days, json::kDefaulted);
    }
};
struct TokenView {
    TokenId id;
    std::string name;
    Role role = Role::viewer;
    std::optional<std::string> token;
    Time created_at{};
    std::optional<Time> expires_at;
    static constexpr auto fields(auto& self, auto&& f) {
        f("id", self.id);
        f("name", self.name);
        f("role", self.role);
        f("token", self.token);
        f("created_at", self.created_at);
        f("expires_at", self.expires_at);
    }
};

/// GET /v1/events?after=SEQ&wait=S
struct EventView {
    std::int64_t seq = 0;
    Time at{};
    std::string kind; ///< "job.succeeded", "agent.enrolled", …
    std::string app, install, component;
    std::optional<JobId> job;
    std::optional<DeployId> deploy;
    std::string detail;
    static constexpr auto fields(auto& self, auto&& f) {
        f("seq", self.seq);
        f("at", self.at);
        f("kind", self.kind);
        f("app", self.app, json::kDefaulted);
        f("install", self.install, json::kDefaulted);
        f("component", self.component, json::kDefaulted);
        f("job", self.job);
        f("deploy", self.deploy);
        f("detail", self.detail, json::kDefaulted);
    }
};

/// GET /v1/audit
struct AuditView {
    std::int64_t seq = 0;
    Time at{};
    std::string actor, action, subject, detail;
    static constexpr auto fields(auto& self, auto&& f) {
        f("seq", self.seq);
        f("at", self.at);
        f("actor", self.actor);
        f("action", self.action);
        f("subject", self.subject);
        f("detail", self.detail);
    }
};

/// GET /v1/status
struct StatusView {
    std::string ims, version, registry; ///< registry: its URL
    int apps = 0, installs = 0, agents_online = 0, agents = 0, jobs_waiting = 0, jobs_running = 0;
    std::vector<AuditView> refused; ///< pull tokens used twice, newest first
    static constexpr auto fields(auto& self, auto&& f) {
        f("ims", self.ims);
        f("version", self.version);
        f("registry", self.registry);
        f("apps", self.apps);
        f("installs", self.installs);
        f("agents_online", self.agents_online);
        f("agents", self.agents);
        f("jobs_waiting", self.jobs_waiting);
        f("jobs_running", self.jobs_running);
        f("refused", self.refused, json::kDefaulted);
    }
};

} // namespace consign::protocol

// Compiled once, in src/protocol/user_codec.cpp: these codecs are the larger part of what their users would
// compile.
#define CONSIGN_USER_API_CODECS(X)                                                                           \
    X(protocol::AppView)                                                                                     \
    X(protocol::BuildView)                                                                                   \
    X(protocol::ReleaseView)                                                                                 \
    X(protocol::InstallView)                                                                                 \
    X(protocol::JobView)                                                                                     \
    X(protocol::DeployView)                                                                                  \
    X(protocol::AgentView)                                                                                   \
    X(protocol::TokenView)                                                                                   \
    X(protocol::EventView)                                                                                   \
    X(protocol::AuditView)                                                                                   \
    X(protocol::List<protocol::AppView>)                                                                     \
    X(protocol::List<protocol::BuildView>)                                                                   \
    X(protocol::List<protocol::ReleaseView>)                                                                 \
    X(protocol::List<protocol::InstallView>)                                                                 \
    X(protocol::List<protocol::JobView>)                                                                     \
    X(protocol::List<protocol::DeployView>)                                                                  \
    X(protocol::List<protocol::AgentView>)                                                                   \
    X(protocol::List<protocol::TokenView>)                                                                   \
    X(protocol::List<protocol::EventView>)                                                                   \
    X(protocol::List<protocol::AuditView>)                                                                   \
    X(protocol::CreateBuildsRequest)                                                                         \
    X(protocol::RecordBuildRequest)                                                                          \
    X(protocol::CreateInstallRequest)                                                                        \
    X(protocol::SetInputsRequest)                                                                            \
    X(protocol::EnrollTokenView)                                                                             \
    X(protocol::CreateDeployRequest)                                                                         \
    X(protocol::DecideRequest)                                                                               \
    X(protocol::RunNowRequest)                                                                               \
    X(protocol::StatusView)
namespace consign::json {
CONSIGN_USER_API_CODECS(CONSIGN_JSON_EXTERN)
} // namespace consign::json
