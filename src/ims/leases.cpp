#include "leases.hpp"
#include "transition.hpp"
#include <algorithm>
#include <format>

namespace consign::ims::jobs {
namespace {

using model::JobEvent;
using protocol::JobKind;

// An agent that cannot begin (its disk is full, say) gives the lease back within milliseconds. Without a
// pause the job would go round and round; five seconds is nothing to a job whose agent restarts.
// The pause grows with the attempts that did not count.
constexpr std::chrono::seconds kGiveBackPause{5}, kLongestGiveBackPause{300};

std::chrono::seconds give_back_pause(const Job& job) {
    auto pause = kGiveBackPause;
    for (auto uncounted = job.epoch - job.attempt; uncounted > 1 && pause < kLongestGiveBackPause; --uncounted)
        pause *= 2;
    return std::min(pause, kLongestGiveBackPause);
}

// The order of the partial indexes, too: without it SQLite would rather search all jobs of the install.
constexpr std::string_view kInOrder = "ORDER BY priority DESC, id";

/// "'apply', 'teardown'": of those that `wanted` takes; never empty, so that it can stand in IN (…).
template <class F>
std::string list_kinds(F wanted) {
    std::string out = "''";
    for (const auto& [kind, name] : json::EnumNames<JobKind>::names)
        if (wanted(kind)) out += std::format(", '{}'", name);
    return out;
}

/// What of the pool's queue this claimant may have. Not what pauses, even if its time is over this moment: the
/// end of a pause wakes a poll of its own, and one that was woken for another job must not take this one. The
/// predicates repeat those of the partial indexes word
/// for word, or SQLite would not use them.
std::string candidates(const Claimant& claimant) {
    const auto able = [&](JobKind kind) { return std::ranges::contains(claimant.kinds, kind); };
    if (!claimant.pool.install)
        return able(JobKind::build) ? "state = 'queued' AND kind = 'build' AND not_before = 0 AND $1 IS NULL"
                                    : "1 = 0";
    static const std::string mutating = list_kinds([](JobKind kind) { return model::policy_of(kind).mutates; });
    static const std::string scheduled =
        list_kinds([](JobKind kind) { return model::policy_of(kind).scheduled; });
    return std::format("state = 'queued' AND install = $1 AND install IS NOT NULL AND not_before = 0 AND "
                       "kind IN ({}) AND (kind NOT IN ({}) OR NOT EXISTS (SELECT 1 FROM jobs h WHERE "
                       "h.install = $1 AND h.state IN ('leased', 'running') AND h.install IS NOT NULL AND "
                       "h.kind IN ({})))",
                       list_kinds(able), scheduled, mutating);
}

} // namespace

Result<bool> claimable(store::Connection& c, const Claimant& claimant) {
    CONSIGN_TRY(found, c.query_one(std::format("SELECT 1 FROM jobs WHERE {} {} LIMIT 1",
                                               candidates(claimant), kInOrder),
                                   {claimant.pool.install}, [](const store::Row&) { return true; }));
    return found.has_value();
}

Result<std::vector<Job>> claim(Change& change, const Claimant& claimant, int slots,
                               std::chrono::seconds lease) {
    std::vector<Job> claimed;
    if (slots <= 0) return claimed;
    CONSIGN_TRY(found, find(change.tx, std::format("{} {} LIMIT $2", candidates(claimant), kInOrder),
                            {claimant.pool.install, slots}));
    bool mutating = false; // one that was claimed just now is not in the query yet
    for (auto& job : found) {
        if (mutating && job.policy().scheduled) continue;
        mutating |= job.policy().mutates;
        job.agent = claimant.agent;
        job.session = claimant.session;
        ++job.epoch;
        ++job.attempt;
        job.deadline = change.now + lease;
        // transition() keeps the deadline of a held state.
        CONSIGN_CHECK(transition(change, job, JobEvent::claim));
        CONSIGN_CHECK(change.tx.execute(
            "INSERT INTO job_attempts(job, epoch, attempt, agent, claimed_at) VALUES ($1,$2,$3,$4,$5)",
            {job.id, job.epoch, job.attempt, job.agent, change.now}));
        claimed.push_back(std::move(job));
    }
    return claimed;
}

Result<Job> renew(Change& change, const JobId& id, const Holder& holder, std::chrono::seconds lease) {
    CONSIGN_TRY(job, held(change.tx, id, holder));
    job.deadline = change.now + lease;
    CONSIGN_CHECK(change.tx.execute("UPDATE jobs SET deadline=$2 WHERE id=$1", {id, job.deadline}));
    return std::move(job);
}

Result<void> lose(Change& change, Job job, Loss loss, std::string_view reason) {
    if (job.stop != Stop::none) {
        job.error = job.stop == Stop::cancel
                        ? "cancelled"
                        : std::format("it ran for longer than {}", humanize(job.run_limit));
        return transition(change, job, end_of(job.stop), reason);
    }
    if (loss != Loss::expired || job.state == model::JobState::leased) --job.attempt;
    if (job.attempt >= job.max_attempts) {
        job.error = std::format("agent_lost: {} attempts ended without a result ({})", job.attempt, reason);
        return transition(change, job, JobEvent::exhaust, job.error);
    }
    if (loss == Loss::given_back) job.not_before = change.now + give_back_pause(job);
    return transition(change, job, JobEvent::requeue, reason);
}

Result<void> lose_all(Change& change, const AgentId& agent, std::string_view reason) {
    CONSIGN_TRY(held, held_by(change.tx, agent));
    for (auto& job : held) CONSIGN_CHECK(lose(change, std::move(job), Loss::expired, reason));
    return {};
}

Result<int> expire(Change& change) {
    CONSIGN_TRY(lost, find(change.tx,
                           "state IN ('leased', 'running') AND deadline < $1 ORDER BY deadline LIMIT 100",
                           {change.now}));
    for (auto& job : lost)
        CONSIGN_CHECK(
            lose(change, job, Loss::expired, "its agent was not heard from before the lease ran out"));
    return static_cast<int>(lost.size());
}

Result<void> extend_leases(Change& change, std::chrono::seconds lease) {
    CONSIGN_CHECK(change.tx.execute(
        "UPDATE jobs SET deadline=$1 WHERE state IN ('leased', 'running') AND deadline < $1",
        {change.now + lease}));
    // Nor could anybody tell that it has stopped.
    CONSIGN_CHECK(change.tx.execute(
        "UPDATE jobs SET limit_at=$1 WHERE limit_at IS NOT NULL AND limit_at < $1 AND stop <> ''",
        {change.now + lease}));
    return {};
}

} // namespace consign::ims::jobs
