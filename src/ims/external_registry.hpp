#pragma once
#include "consign/ims/ims.hpp"
#include "consign/oci/registry_account.hpp"
#include <thread>

namespace consign::ims {

/// The vendor registry when it is another operator's: our account there, on a thread of its own.
class ExternalRegistry {
  public:
    /// Checks the options; whether the registry can be used is found out in the background, and logged.
    /// invalid_argument says which flag is wrong.
    static Result<std::unique_ptr<ExternalRegistry>> open(const VendorRegistryOptions& options);
    ~ExternalRegistry();

    oci::RegistryAccount& account() { return *account_; }
    bool direct() const { return direct_; }

  private:
    ExternalRegistry() = default;
    net::IoThread io_;
    std::unique_ptr<oci::RegistryAccount> account_; ///< ends on io_
    bool direct_ = false;
    std::stop_source stop_;
    std::thread probe_;
};

} // namespace consign::ims
