#pragma once
// The install agent's work: artifact → running component, in the customer's account.
#include "consign/agent/agent.hpp"

namespace consign::install {

struct InstallOptions {
    std::filesystem::path data;
    std::string registry_listen = "127.0.0.1:8500"; ///< port 0: any
    /// Empty: the embedded registry; else another one (oci/registry_account.hpp), and nothing listens here.
    std::string registry_url = {};
    std::string registry_ca_file = {};
};

/// The install's registry (with its read-only listener), its local state and its supervised services. Opening
/// adopts the services that still run from before, and starts those that should run and do not. Destruction
/// leaves the services running.
class InstallSite {
  public:
    static Result<std::unique_ptr<InstallSite>> open(InstallOptions options, agent::Agent& agent);
    virtual ~InstallSite() = default;
    /// The handlers for all that an install agent runs; valid while this lives.
    virtual agent::JobHandlers job_handlers() = 0;
    virtual std::uint16_t registry_port() const = 0; ///< 0: nothing listens
};

} // namespace consign::install
