#pragma once
// A job store in a scratch directory, and a clock that the test moves.
#include "consign/base/file.hpp"
#include "consign/store/sqlite.hpp"
#include "ims/agents.hpp"
#include "ims/apps.hpp"
#include "ims/deploys.hpp"
#include "ims/installs.hpp"
#include "ims/leases.hpp"
#include "ims/limits.hpp"
#include "ims/migrations.hpp"
#include <catch2/catch.hpp>

namespace consign::ims {

/// An agent that can run what all agents of its kind can.
inline jobs::Claimant claimant(const AgentId& agent, const SessionId& session, const Pool& pool) {
    return {.agent = agent,
            .session = session,
            .pool = pool,
            .kinds = agents::split_kinds("", pool.install ? protocol::AgentKind::install
                                                          : protocol::AgentKind::build)};
}

struct Fixture {
    TemporaryDirectory directory = *TemporaryDirectory::make("ims-test");
    std::unique_ptr<store::Database> db = *store::open_sqlite(directory.path() / "ims.db", migrations());
    ManualClock clock;
    Effects effects; ///< of the last change
    AgentId agent = AgentId::make(clock.now());
    SessionId session = SessionId::make(clock.now());
    static constexpr std::chrono::seconds kLease{45};

    template <class F>
    auto change(F work) {
        effects = {};
        return db->write_blocking([&](store::Transaction& tx) {
            Change unit(tx, clock.now(), effects);
            return work(unit);
        });
    }
    template <class F>
    auto read(F work) {
        return db->read_blocking(work);
    }

    Job job(const JobId& id) {
        return *read([&](store::Connection& c) { return jobs::get(c, id); });
    }
    /// A queued build job.
    JobId add_job(int max_attempts = 3) {
        const auto id = JobId::make(clock.now());
        REQUIRE(change([&](Change& c) -> Result<void> {
            CONSIGN_CHECK(jobs::insert(
                c, Job{.id = id, .app = "shop", .component = "web", .max_attempts = max_attempts}, {}));
            return jobs::release_ready(c, id);
        }));
        return id;
    }
    std::vector<Job> claim(int slots = 1, Pool pool = {}) {
        return *change([&](Change& c) {
            return jobs::claim(c, claimant(agent, session, pool), slots, kLease);
        });
    }
    Result<void> complete(const JobId& id, std::int64_t epoch, protocol::Outcome outcome,
                          std::string error = {}, json::Value result = json::Value::object()) {
        return change([&](Change& c) {
            return jobs::complete(
                c, id, {agent, epoch},
                {.outcome = outcome, .error = std::move(error), .result = std::move(result)});
        });
    }
    /// Claims, starts and ends the one job that can be claimed.
    Job run_one(Pool pool, protocol::Outcome outcome, json::Value result = json::Value::object()) {
        auto claimed = claim(1, std::move(pool));
        REQUIRE(claimed.size() == 1);
        const auto& one = claimed.front();
        REQUIRE(change([&](Change& c) { return jobs::start(c, one.id, {agent, one.epoch}); }));
        REQUIRE(complete(one.id, one.epoch, outcome,
                         outcome == protocol::Outcome::succeeded ? "" : "it broke", std::move(result)));
        return one;
    }
};

} // namespace consign::ims
