#pragma once
#include "consign/base/clock.hpp"
#include "consign/base/error.hpp"
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

namespace consign::ims {

/// Of the embedded registry; bytes, 0: none.
struct RegistryLimits {
    std::uint64_t quota_bytes = 0;            ///< of all artifacts, each blob once
    std::uint64_t repository_quota_bytes = 0; ///< of each repository that has no quota of its own
    std::uint64_t free_floor_bytes = 0;       ///< pushes stop when the disk has less left
};

/// Where artifacts live. All of it goes through our own /v2, whichever it is, but for what `direct` says.
struct VendorRegistryOptions {
    std::string url = {}; ///< empty: embedded; else another operator's (oci/registry_account.hpp)
    /// Pull tokens are sessions of `pull_role_arn` at the registry itself (ECR only), good for 15 minutes;
    /// otherwise one-time tokens of ours, and the pulled bytes pass through us.
    bool direct = false;
    std::string ca_file = {}, pull_role_arn = {};
    bool immutable_tags = false, scan_on_push = false; ///< of ECR repositories that are made on demand
};

/// How often each install is looked after by jobs that come by themselves; 0: never.
struct ScheduleOptions {
    std::chrono::seconds health = std::chrono::hours(1);
    std::chrono::seconds drift = std::chrono::hours(24);
    std::chrono::seconds gc = std::chrono::hours(24);
};

struct ImsOptions {
    std::filesystem::path data;
    std::string listen_address = "127.0.0.1";
    std::uint16_t listen_port = 8400; ///< 0: any free one
    std::string tls_certificate_file = {}, tls_key_file = {};
    std::string public_url = {}; ///< how agents and clients reach us; empty: from the listen address
    std::size_t threads = 2;
    std::string version = "dev";
    std::chrono::seconds lease = std::chrono::seconds(45); ///< renew_s is a third of it
    ScheduleOptions schedule = {};
    RegistryLimits registry = {};
    VendorRegistryOptions vendor_registry = {};
};

/// The Infrastructure Management Server of one vendor, in one process.
class Ims {
  public:
    /// Locks and opens the data directory (creating the vendor on an empty one: keys, registry, owner token),
    /// binds the port and starts to serve. Errors are one line that says what and what to do: port in use
    /// (conflict), directory not writable (permission_denied), data of a newer version (unsupported),
    /// directory in use (conflict).
    static Result<std::unique_ptr<Ims>> start(ImsOptions options);
    ~Ims();

    std::uint16_t port() const;
    const std::string& public_url() const;
    /// Set when this start created the vendor; printed once by the caller, also kept in DATA/owner.token
    /// (0600).
    const std::string& new_owner_token() const;
    /// Stops accepting, answers parked polls, finishes what runs (at most `grace`), closes the stores.
    /// Blocks.
    void drain(std::chrono::milliseconds grace = std::chrono::seconds(10));

  private:
    Ims();
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace consign::ims
