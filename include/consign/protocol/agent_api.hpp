#pragma once
// The agents' half of the API (docs/protocol.md).
#include "consign/protocol/specs.hpp"

namespace consign::protocol {

/// POST /v1/agents/enroll, no credential but the one-use token.
struct EnrollRequest {
    std::string token;
    std::string public_key; ///< PEM, P-256
    AgentKind kind = AgentKind::install;
    std::string version;
    std::string hostname;

    static constexpr auto fields(auto& self, auto&& f) {
        f("token", self.token);
        f("public_key", self.public_key);
        f("kind", self.kind);
        f("version", self.version);
        f("hostname", self.hostname);
    }
};

struct EnrollResponse {
    AgentId agent;
    std::string ims;               ///< id of the IMS, the audience of later assertions
    std::string vendor_public_key; ///< PEM; pinned by the agent
    std::optional<InstallId> install;
    std::string install_name;

    static constexpr auto fields(auto& self, auto&& f) {
        f("agent", self.agent);
        f("ims", self.ims);
        f("vendor_public_key", self.vendor_public_key);
        f("install", self.install);
        f("install_name", self.install_name, json::kDefaulted);
    }
};

/// POST /v1/token (RFC 6749 section 4.4, RFC 7523 section 2.2), form-encoded request.
struct TokenResponse {
    std::string access_token;
    std::string token_type = "Bearer";
    int expires_in = 0; ///< seconds

    static constexpr auto fields(auto& self, auto&& f) {
        f("access_token", self.access_token);
        f("token_type", self.token_type);
        f("expires_in", self.expires_in);
    }
};

struct RunningJob {
    JobId job;
    std::int64_t epoch = 0;

    static constexpr auto fields(auto& self, auto&& f) {
        f("job", self.job);
        f("epoch", self.epoch);
    }
};

/// What an agent is able to do. Told with each poll until one is answered, as both change with its program.
struct AgentAbilities {
    std::string version;
    std::vector<std::string> job_kinds; ///< names this server does not know are ignored

    static constexpr auto fields(auto& self, auto&& f) {
        f("version", self.version);
        f("job_kinds", self.job_kinds);
    }
};

/// POST /v1/agent/poll. Renews the leases in `running`; what the session held and does not list is requeued.
struct PollRequest {
    SessionId session;
    int slots = 0; ///< how many more jobs it can take now
    std::vector<RunningJob> running;
    /// Attempts of an earlier process with the same data directory, which has ended: nobody runs them any
    /// more. What an earlier session holds and this does not list may still run elsewhere, and its lease must
    /// run out first.
    std::vector<RunningJob> leftovers;
    std::optional<AgentAbilities> abilities;
    int wait_s = 50; ///< 0..55
    /// The last poll of a process that stops in order: it gets no work, and the agent is offline from now on.
    bool leaving = false;

    static constexpr auto fields(auto& self, auto&& f) {
        f("session", self.session);
        f("slots", self.slots);
        f("running", self.running, json::kDefaulted);
        f("leftovers", self.leftovers, json::kDefaulted);
        f("abilities", self.abilities);
        f("wait_s", self.wait_s, json::kDefaulted);
        f("leaving", self.leaving, json::kDefaulted);
    }
};

struct Lease {
    JobId job;
    std::int64_t epoch = 0; ///< fencing token, in the Consign-Lease header of every write
    Time deadline{};        ///< renewed by polls and by /renew
    int attempt = 1;
    int run_limit_s = 0; ///< the attempt may run this long from its start; 0: as long as it takes
    JobKind kind = JobKind::build;
    std::int64_t log_offset = 0; ///< where this attempt's log goes on, bytes
    json::Value spec;

    static constexpr auto fields(auto& self, auto&& f) {
        f("job", self.job);
        f("epoch", self.epoch);
        f("deadline", self.deadline);
        f("attempt", self.attempt);
        f("run_limit_s", self.run_limit_s, json::kDefaulted);
        f("kind", self.kind);
        f("log_offset", self.log_offset);
        f("spec", self.spec);
    }
};

/// The server sets the cadence.
struct Cadence {
    int wait_s = 50;
    int renew_s = 15; ///< while jobs run, poll at least this often
    bool rotate_key = false; ///< make a new key now, see RotateKeyRequest

    static constexpr auto fields(auto& self, auto&& f) {
        f("wait_s", self.wait_s);
        f("renew_s", self.renew_s);
        f("rotate_key", self.rotate_key, json::kDefaulted);
    }
};

struct PollResponse {
    std::vector<Lease> leases;
    std::vector<JobId> cancel; ///< stop these, then complete them as cancelled
    std::vector<JobId> lost;   ///< no longer yours: stop at once, write nothing
    Cadence next;

    static constexpr auto fields(auto& self, auto&& f) {
        f("leases", self.leases, json::kDefaulted);
        f("cancel", self.cancel, json::kDefaulted);
        f("lost", self.lost, json::kDefaulted);
        f("next", self.next, json::kDefaulted);
    }
};

/// POST /v1/jobs/{id}/renew → the new deadline.
struct RenewResponse {
    Time deadline{};
    bool cancel = false; ///< a cancel was asked for

    static constexpr auto fields(auto& self, auto&& f) {
        f("deadline", self.deadline);
        f("cancel", self.cancel, json::kDefaulted);
    }
};

/// One step of the attempt; sent again with the same `seq` it replaces the earlier report.
struct StepReport {
    int seq = 0;
    std::string name;
    StepState state = StepState::running;
    std::string detail;
    Time at{};

    static constexpr auto fields(auto& self, auto&& f) {
        f("seq", self.seq);
        f("name", self.name);
        f("state", self.state);
        f("detail", self.detail, json::kDefaulted);
        f("at", self.at);
    }
};
/// POST /v1/jobs/{id}/steps
struct StepsRequest {
    std::vector<StepReport> steps;
    static constexpr auto fields(auto& self, auto&& f) { f("steps", self.steps); }
};

/// POST /v1/jobs/{id}/logs?offset=N with the raw bytes → the offset the next piece starts at. A piece that
/// starts elsewhere is answered 409 with the same body: send again from there.
struct LogPosition {
    std::int64_t expected_offset = 0;
    static constexpr auto fields(auto& self, auto&& f) { f("expected_offset", self.expected_offset); }
};

/// POST /v1/jobs/{id}/complete. The same body again answers 200 again.
struct CompleteRequest {
    Outcome outcome = Outcome::failed;
    /// Of a failure: another attempt may succeed (a registry did not answer, say). It comes after a pause,
    /// while attempts are left.
    bool may_pass = false;
    std::string error; ///< one clear line; empty on success
    json::Value result = json::Value::object();

    static constexpr auto fields(auto& self, auto&& f) {
        f("outcome", self.outcome);
        f("may_pass", self.may_pass, json::kDefaulted);
        f("error", self.error, json::kDefaulted);
        f("result", self.result, json::kDefaulted);
    }
};

/// POST /v1/agent/key: from the first assertion that the new key signed, the old key is worth nothing. Until
/// then both are good, so that neither a lost answer nor a crash locks the agent out.
struct RotateKeyRequest {
    std::string public_key; ///< PEM, P-256
    static constexpr auto fields(auto& self, auto&& f) { f("public_key", self.public_key); }
};

/// POST /v1/jobs/{id}/pull-token: good for one redemption at /v2/token.
struct PullToken {
    std::string registry; ///< URL
    std::string repository;
    Digest digest;
    std::string username;
    std::string password;
    Time expires_at{};

    static constexpr auto fields(auto& self, auto&& f) {
        f("registry", self.registry);
        f("repository", self.repository);
        f("digest", self.digest);
        f("username", self.username);
        f("password", self.password);
        f("expires_at", self.expires_at);
    }
};

} // namespace consign::protocol

// Compiled once, in src/protocol/agent_codec.cpp: these codecs are the larger part of what their users would
// compile.
#define CONSIGN_AGENT_API_CODECS(X)                                                                          \
    X(protocol::EnrollRequest)                                                                               \
    X(protocol::EnrollResponse)                                                                              \
    X(protocol::TokenResponse)                                                                               \
    X(protocol::AgentAbilities)                                                                              \
    X(protocol::RotateKeyRequest)                                                                            \
    X(protocol::PollRequest)                                                                                 \
    X(protocol::Lease)                                                                                       \
    X(protocol::PollResponse)                                                                                \
    X(protocol::RenewResponse)                                                                               \
    X(protocol::StepReport)                                                                                  \
    X(protocol::StepsRequest)                                                                                \
    X(protocol::LogPosition)                                                                                 \
    X(protocol::CompleteRequest)                                                                             \
    X(protocol::PullToken)
namespace consign::json {
CONSIGN_AGENT_API_CODECS(CONSIGN_JSON_EXTERN)
} // namespace consign::json
