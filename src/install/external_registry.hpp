#pragma once
#include "consign/agent/agent.hpp"
#include "consign/oci/registry_account.hpp"

namespace consign::install {

/// The install registry when it is not the embedded one: ECR or any other in the customer's account. The
/// agent pushes there in-process with its own credential, which nobody else gets.
class ExternalRegistry {
  public:
    /// Checks the URL; sends nothing: what runs here must come up without the registry.
    static Result<std::unique_ptr<ExternalRegistry>> open(agent::Agent& agent, const std::string& url,
                                                          const std::string& ca_file);
    ~ExternalRegistry();
    /// Logs in once, so that a wrong credential shows at the start and not with the first deploy. Blocks.
    Result<void> check();

    /// Made if the registry wants that. Blocks: not for the I/O thread. To be used and dropped before this
    /// ends.
    Result<std::unique_ptr<oci::Repository>> repository(const std::string& name);
    /// "HOST[:PORT][/PREFIX]", what stands in front of a repository's name in a reference.
    std::string address() const;

  private:
    struct Parts;
    ExternalRegistry(net::IoThread& io, std::unique_ptr<Parts> parts);
    net::IoThread& io_;
    std::unique_ptr<Parts> parts_; ///< made and ended on io_
};

} // namespace consign::install
