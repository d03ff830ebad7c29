#pragma once
// What every route works with: the stores, who there is, and the one way to change anything.
#include "access_tokens.hpp"
#include "consign/base/keys.hpp"
#include "consign/ims/ims.hpp"
#include "consign/oci/registry.hpp"
#include "consign/oci/registry_proxy.hpp"
#include "directory.hpp"
#include "dispatcher.hpp"
#include "external_registry.hpp"
#include "logs.hpp"
#include "registry_runs.hpp"
#include "verified_tokens.hpp"
#include <atomic>

namespace consign::ims {

/// The vendor's keys and names; made on the first start.
struct Vendor {
    std::string id;       ///< of this IMS, the audience of agents' assertions
    PrivateKey token_key; ///< signs access and registry tokens
    PublicKey token_public_key;
    PublicKey signing_public_key; ///< pinned by agents at enrolment
};

struct Counters {
    std::atomic<std::uint64_t> requests{0}, refused{0}, failed{0}, polls{0}, leases{0};
};

class Core {
  public:
    ImsOptions options;
    std::string public_url;
    SystemClock clock;
    Vendor vendor;
    std::unique_ptr<store::Database> db;
    std::unique_ptr<LogStore> logs;
    std::unique_ptr<oci::Registry> registry;
    std::unique_ptr<ExternalRegistry> external; ///< the vendor registry, when it is not the embedded one
    oci::RegistryProxy* proxy = nullptr;        ///< to it; the gateway's
    std::unique_ptr<RegistryRuns> registry_runs;
    VerifiedTokens registry_tokens;
    mutable AccessTokens access_tokens; ///< a cache, with a lock of its own
    Directory directory;
    Dispatcher dispatcher;
    net::Mailbox events; ///< moves with every change of the event log
    Counters counters;

    /// Runs `work(Change&) -> Result<T>` on the store and, after the commit, does what it asked for.
    template <class F>
    auto change(F work) -> net::Async<std::invoke_result_t<F, Change&>> {
        auto effects = std::make_shared<Effects>();
        const Time now = clock.now();
        auto result =
            co_await db->write([effects, now, work = std::move(work)](store::Transaction& tx) mutable {
                Change unit(tx, now, *effects);
                return work(unit);
            });
        if (result) co_await apply(std::move(effects));
        co_return result;
    }

  private:
    net::Async<> apply(std::shared_ptr<Effects> effects);
};

} // namespace consign::ims
