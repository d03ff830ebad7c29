#pragma once
// One unit of work on the job store: a transaction, the time it happens at, and what must be done once it is
// on disk. Store first, then notify: an agent that is woken always finds the job.
#include "consign/protocol/user_api.hpp"
#include "consign/store/database.hpp"
#include <set>

namespace consign::ims {

/// Who may take a job: any build agent, or the agent of one install.
struct Pool {
    InstallId install; ///< empty: the build agents
    auto operator<=>(const Pool&) const = default;
};

/// Done after the commit, by Core::change().
struct Effects {
    std::map<Pool, int> wake; ///< pool → how many jobs became claimable
    std::set<AgentId> tell;   ///< agents that have something to hear (a cancel)
    std::set<JobId> ended;    ///< whoever follows their logs learns that they have ended
    bool events = false;      ///< new rows in the event log
    std::set<AgentId> agents; ///< agents that are new or changed: the directory reads them again
    bool users = false;       ///< user tokens changed
};

class Change {
  public:
    Change(store::Transaction& tx, Time now, Effects& effects) : tx(tx), now(now), effects(effects) {}

    store::Transaction& tx;
    const Time now;
    Effects& effects;

    /// Appends to the event log that people and dashboards follow.
    Result<void> event(const protocol::EventView& event) {
        effects.events = true;
        CONSIGN_CHECK(tx.execute("INSERT INTO events(at, kind, app, install, component, job, deploy, detail) "
                                 "VALUES ($1,$2,$3,$4,$5,$6,$7,$8)",
                                 {now, event.kind, event.app, event.install, event.component, event.job,
                                  event.deploy, event.detail}));
        return {};
    }

    /// Appends to the audit log: who did what to what.
    Result<void> audit(std::string_view actor, std::string_view action, std::string_view subject,
                       std::string_view detail = {}) {
        CONSIGN_CHECK(
            tx.execute("INSERT INTO audit(at, actor, action, subject, detail) VALUES ($1,$2,$3,$4,$5)",
                       {now, actor, action, subject, detail}));
        return {};
    }
};

} // namespace consign::ims
