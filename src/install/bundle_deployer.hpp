#pragma once
#include "install/deployer.hpp"
#include "install/supervisor.hpp"

namespace consign::install {

struct BundleOptions {
    std::filesystem::path data;
    std::string registry; ///< "host:port" of the install registry's listener, for templates
};
/// Directories, commands and a supervised service. `supervisor` must outlive it.
std::unique_ptr<Deployer> make_bundle_deployer(Supervisor& supervisor, BundleOptions options);

} // namespace consign::install
