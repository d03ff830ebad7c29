#pragma once
// Garbage collection and scrub of the embedded registry: one run of each at a time, beside everything else.
#include "consign/base/clock.hpp"
#include "consign/net/mailbox.hpp"
#include "consign/oci/registry.hpp"
#include "consign/protocol/registry_api.hpp"
#include "consign/store/database.hpp"
#include <mutex>
#include <stop_token>
#include <thread>

namespace consign::ims {

/// The artifacts and sources that the job store names, tagged or not: what was built, what releases hold,
/// what installs run.
Result<oci::GcRoots> registry_roots(store::Connection& c);

/// Any thread. Ends its runs on destruction; what it uses must outlive it.
class RegistryRuns {
  public:
    RegistryRuns(oci::Registry& registry, store::Database& jobs, const Clock& clock);
    ~RegistryRuns();

    /// conflict while one is on.
    Result<void> start(const protocol::RegistryGcRequest& request);
    Result<void> start(const protocol::RegistryScrubRequest& request);
    /// The run that is on, or else the last one; not_found.
    Result<protocol::RegistryGcReport> gc() const;
    Result<protocol::RegistryScrubReport> scrub() const;
    net::Mailbox& ended() { return ended_; } ///< moves when a run has ended

  private:
    template <class Report>
    struct Run {
        mutable std::mutex mutex;
        std::optional<Report> report;
        std::jthread thread;
    };
    template <class Report, class Start>
    Result<void> begin(Run<Report>& run, Report first, Start start);
    template <class Report, class Given>
    static Result<Report> told(const Run<Report>& run, Given what);

    oci::Registry& registry_;
    store::Database& jobs_;
    const Clock& clock_;
    net::Mailbox ended_;
    Run<protocol::RegistryGcReport> gc_;
    Run<protocol::RegistryScrubReport> scrub_;
};

} // namespace consign::ims
