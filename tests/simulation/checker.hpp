#pragma once
// The invariants of docs/architecture.md ("What the engine promises"), kept beside the engine from what it
// answered: it must never contradict them.
#include "ims/jobs.hpp"

namespace simulation {

using namespace consign;

struct Violation {
    std::string what;
};

class Checker {
  public:
    /// A lease was given: epochs only grow, so no two holders ever have the same.
    void claimed(const ims::Job& job);
    /// A write of the holder of (job, epoch) was accepted: it must be the newest lease, of that agent, and the
    /// job must not have ended before.
    void accepted(const JobId& job, std::int64_t epoch, const AgentId& agent, std::string_view what);
    /// The same completion may be accepted again, after the job has ended.
    void completed(const JobId& job, std::int64_t epoch, const AgentId& agent, const std::string& body);
    /// The job is in a terminal state now, for good.
    void ended(const JobId& job, model::JobState state);
    /// The agent was told that its lines up to `count` of this attempt are stored.
    void lines_stored(const JobId& job, std::int64_t epoch, int count);
    /// Somebody was told that the job exists.
    void acknowledged(const JobId& job) { acknowledged_.insert(job); }

    bool all_ended() const;

    /// At the end, when all is calm: every acknowledged job has ended as it was said to, and its log has every
    /// line once, in order.
    void settled(store::Connection& c, const std::function<std::string(const JobId&)>& log);

  private:
    struct Lease {
        std::int64_t epoch = 0;
        AgentId agent;
    };
    std::map<JobId, Lease> newest_;
    std::map<JobId, model::JobState> ended_;
    std::map<JobId, std::pair<std::int64_t, std::string>> completions_;
    std::map<JobId, std::map<std::int64_t, int>> lines_;
    std::set<JobId> acknowledged_;
};

} // namespace simulation
