#include "poll.hpp"
#include "jobs.hpp"
#include <algorithm>
#include <format>

namespace consign::ims {
namespace {

using protocol::PollRequest;
using protocol::PollResponse;

/// One poll of an agent. A newer one makes it stale: its connection is most likely dead, and a job that it
/// claimed would lie unheard until the lease runs out.
class Attendance {
  public:
    explicit Attendance(std::shared_ptr<Presence> presence) : presence_(std::move(presence)) {
        std::lock_guard lock(presence_->mutex);
        generation_ = ++presence_->generation;
        ++presence_->parked;
    }
    ~Attendance() {
        std::lock_guard lock(presence_->mutex);
        --presence_->parked;
    }
    Attendance(const Attendance&) = delete;
    Attendance& operator=(const Attendance&) = delete;

    std::uint64_t generation() const { return generation_; }
    static bool newest(Presence& presence, std::uint64_t generation) {
        std::lock_guard lock(presence.mutex);
        return presence.generation == generation;
    }

  private:
    std::shared_ptr<Presence> presence_;
    std::uint64_t generation_;
};

Error superseded() {
    return {Code::session_superseded, "a newer session of this agent took over",
            "another process runs with this agent's identity; this one must exit"};
}

/// Makes an unknown session the agent's current one; a known older one is refused for good.
Result<void> take_over(Change& change, const AgentId& agent, const SessionId& session) {
    CONSIGN_TRY(known, change.tx.query_one("SELECT agent, superseded FROM agent_sessions WHERE id=$1",
                                           {session}, [](const store::Row& row) {
                                               return std::pair(row.id<AgentId>(0), row.boolean(1));
                                           }));
    if (known) {
        if (known->first != agent || known->second) return std::unexpected(superseded());
        return {};
    }
    CONSIGN_CHECK(
        change.tx.execute("UPDATE agent_sessions SET superseded=1 WHERE agent=$1 AND superseded=0", {agent}));
    CONSIGN_CHECK(change.tx.execute("INSERT INTO agent_sessions(id, agent, started_at) VALUES ($1,$2,$3)",
                                    {session, agent, change.now}));
    return change.event({.kind = "agent.session", .detail = agent.str()});
}

struct Work {
    std::vector<Job> claimed;
    std::vector<JobId> cancel, lost;
};

/// Renews what the agent lists, takes back what it holds and does not list (the answer that carried it was
/// lost, or the agent forgot it in a crash), then claims.
Result<Work> reconcile(Change& change, const AgentEntry& agent, const PollRequest& request,
                       std::chrono::seconds lease) {
    Work work;
    CONSIGN_TRY(held, jobs::find(change.tx, "agent=$1 AND state IN ('leased', 'running')", {agent.id}));
    for (const auto& running : request.running) {
        const auto mine = std::ranges::find_if(
            held, [&](const Job& job) { return job.id == running.job && job.epoch == running.epoch; });
        if (mine == held.end()) {
            work.lost.push_back(running.job);
            continue;
        }
        CONSIGN_CHECK(change.tx.execute("UPDATE jobs SET deadline=$2, session=$3 WHERE id=$1",
                                        {mine->id, change.now + lease, request.session}));
        if (mine->cancel_requested) work.cancel.push_back(mine->id);
        held.erase(mine);
    }
    for (auto& job : held) {
        const auto loss =
            job.state == model::JobState::leased ? jobs::Loss::never_started : jobs::Loss::expired;
        CONSIGN_CHECK(jobs::lose(change, std::move(job), loss, "its agent no longer runs it"));
    }
    CONSIGN_TRY(claimed, jobs::claim(change, agent.pool(), agent.id, request.session, request.slots, lease));
    work.claimed = std::move(claimed);
    return work;
}

/// Whether a write is worth it: an idle poll costs one read, no commit.
Result<bool> anything_to_do(store::Connection& c, const AgentEntry& agent, const PollRequest& request,
                            Time now) {
    CONSIGN_TRY(held,
                c.query_one("SELECT 1 FROM jobs WHERE agent=$1 AND state IN ('leased', 'running') LIMIT 1",
                            {agent.id}, [](const store::Row&) { return true; }));
    if (held || !request.running.empty()) return true;
    if (request.slots <= 0) return false;
    const auto some = [](const store::Row&) { return true; };
    CONSIGN_TRY(
        queued,
        agent.install
            ? c.query_one(
                  "SELECT 1 FROM jobs WHERE state = 'queued' AND install = $1 AND install IS NOT NULL "
                  "AND not_before <= $2 LIMIT 1",
                  {agent.install, now}, some)
            : c.query_one(
                  "SELECT 1 FROM jobs WHERE state = 'queued' AND kind = 'build' AND not_before <= $1 LIMIT 1",
                  {now}, some));
    return queued.has_value();
}

net::Async<Result<protocol::Lease>> to_lease(Core& core, Job job) {
    CONSIGN_CO_TRY(offset, co_await core.logs->fence(job.id, job.epoch));
    CONSIGN_CO_TRY(spec, json::parse(job.spec));
    co_return protocol::Lease{.job = job.id,
                              .epoch = job.epoch,
                              .deadline = *job.deadline,
                              .attempt = job.attempt,
                              .kind = job.kind,
                              .log_offset = offset,
                              .spec = std::move(spec)};
}

/// Cancels that this session has not heard of. The answer lists all of them; only a new one is worth waking
/// up for.
bool note_cancels(Presence& presence, const std::vector<JobId>& cancels) {
    std::lock_guard lock(presence.mutex);
    bool news = false;
    for (const auto& job : cancels) news |= presence.told.insert(job).second;
    if (cancels.empty()) presence.told.clear();
    return news;
}

} // namespace

net::Async<Result<net::Response>> poll(Call& call) {
    CONSIGN_CO_TRY(request, call.json<PollRequest>());
    if (request.session.empty() || request.slots < 0 || request.slots > 1024 || request.wait_s < 0)
        co_return fail(Code::invalid_argument,
                       "a poll needs a session, slots of 0 to 1024 and a wait_s of 0 to 55");
    if (request.leaving) request.slots = request.wait_s = 0;
    Core& core = call.core;
    const AgentEntry agent = *call.caller.agent;
    const auto lease = core.options.lease;
    ++core.counters.polls;

    bool known = false;
    {
        std::lock_guard lock(agent.presence->mutex);
        agent.presence->last_seen = core.clock.now();
        known = agent.presence->session == request.session;
    }
    if (!known) {
        CONSIGN_CO_CHECK(co_await core.change([id = agent.id, session = request.session](Change& change) {
            return take_over(change, id, session);
        }));
        std::lock_guard lock(agent.presence->mutex);
        agent.presence->session = request.session;
        agent.presence->told.clear();
    }
    {
        std::lock_guard lock(agent.presence->mutex);
        agent.presence->left = request.leaving;
    }
    Attendance attendance(agent.presence);
    agent.presence->mailbox.notify(); // an older poll that is still parked sees that it is stale, and ends

    PollResponse response;
    response.next = {.wait_s = 50, .renew_s = static_cast<int>(lease.count() / 3)};
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::seconds(std::min(request.wait_s, 55));
    Dispatcher::Place place(core.dispatcher, agent.pool(), agent.presence);
    for (bool last = false;;) {
        const auto seen = agent.presence->mailbox.version(); // before we look
        place.enter();
        CONSIGN_CO_TRY(busy,
                       co_await core.db->read([agent, request, now = core.clock.now()](store::Connection& c) {
                           return anything_to_do(c, agent, request, now);
                       }));
        if (busy) {
            auto work = co_await core.change([agent, request, lease, generation = attendance.generation()](
                                                 Change& change) -> Result<Work> {
                if (!Attendance::newest(*agent.presence, generation)) return Work{};
                return reconcile(change, agent, request, lease);
            });
            if (!work) co_return std::unexpected(work.error());
            for (auto& job : work->claimed) {
                CONSIGN_CO_TRY(granted, co_await to_lease(core, std::move(job)));
                response.leases.push_back(std::move(granted));
            }
            response.lost = std::move(work->lost);
            const bool news = note_cancels(*agent.presence, work->cancel);
            response.cancel = std::move(work->cancel);
            if (!response.leases.empty() || !response.lost.empty() || news) last = true;
        }
        {
            std::lock_guard lock(agent.presence->mutex);
            agent.presence->last_seen = core.clock.now();
            if (agent.presence->session != request.session) co_return std::unexpected(superseded());
            if (agent.presence->generation != attendance.generation()) last = true;
        }
        if (last || std::chrono::steady_clock::now() >= deadline) break;
        const auto woken = co_await call.request.parking->wait_past(agent.presence->mailbox, seen, deadline);
        if (woken == net::Wake::gone) co_return fail(Code::cancelled, "the agent hung up");
        if (woken == net::Wake::draining) break;
        last = woken == net::Wake::deadline;
        if (const auto now = core.directory.agent(agent.id); !now || now->revoked)
            co_return fail(Code::unauthenticated, std::format("agent {} is revoked", agent.id.str()),
                           "enrol the agent again");
    }
    core.counters.leases += response.leases.size();
    if (response.leases.empty() && response.cancel.empty() && response.lost.empty())
        co_return net::Response::empty(204);
    co_return answer(response);
}

} // namespace consign::ims
