#pragma once
#include "consign/agent/job.hpp"
#include "consign/base/keys.hpp"
#include <csignal>

namespace consign::agent {

struct AgentOptions {
    protocol::AgentKind kind = protocol::AgentKind::install;
    std::string ims;                  ///< URL; empty: what DATA/agent.json remembers
    Secret<std::string> enroll_token; ///< empty: must be enrolled already
    std::filesystem::path data;
    int slots = 2;
    bool once = false;        ///< take what is queued now, finish it, exit
    std::string ca_file = {}; ///< PEM of the CA that signed the IMS's certificate; empty: the system's
    std::string version;
};

/// Who this agent is: DATA/agent.json and DATA/agent.key (0600, made here, never sent).
struct Identity {
    AgentId agent;
    std::string ims_url, ims;
    std::string vendor_public_key;
    std::optional<InstallId> install;
    std::string install_name;
    protocol::AgentKind kind = protocol::AgentKind::install;

    static constexpr auto fields(auto& self, auto&& f) {
        f("agent", self.agent);
        f("ims_url", self.ims_url);
        f("ims", self.ims);
        f("vendor_public_key", self.vendor_public_key);
        f("install", self.install);
        f("install_name", self.install_name, json::kDefaulted);
        f("kind", self.kind);
    }
};

/// One agent process: locks DATA, enrols if it must, then polls, runs jobs and ships their logs until told to
/// stop.
class Agent {
  public:
    /// Locks the data directory, loads or makes the key, enrols when there is no identity yet. Blocks.
    /// Errors are one line that says what and what to do (wrong or used token, wrong URL, clock skew, …).
    static Result<std::unique_ptr<Agent>> open(AgentOptions options);
    virtual ~Agent() = default;

    virtual const Identity& identity() const = 0;
    virtual net::IoThread& io() = 0;
    virtual net::Client& http() = 0;

    /// Polls and runs jobs until `stop`. On stop: takes nothing new, gives running jobs `grace` to end, then
    /// gives their leases back. Blocks. Errors: session_superseded (another process runs with this identity),
    /// or unauthenticated/not_found when the IMS no longer knows this agent.
    virtual Result<void> run(const JobHandlers& handlers, std::stop_token stop) = 0;
};

} // namespace consign::agent
