#include "poll.hpp"
#include "agents.hpp"
#include "sessions.hpp"
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

jobs::Claimant claimant_of(const AgentEntry& agent, const SessionId& session) {
    return {.agent = agent.id, .session = session, .pool = agent.pool(), .kinds = agent.job_kinds};
}

/// Whether a write is worth it: an idle poll costs one read, no commit.
Result<bool> anything_to_do(store::Connection& c, const jobs::Claimant& claimant, const PollRequest& request,
                            int slots) {
    CONSIGN_TRY(held,
                c.query_one("SELECT 1 FROM jobs WHERE agent=$1 AND state IN ('leased', 'running') LIMIT 1",
                            {claimant.agent}, [](const store::Row&) { return true; }));
    if (held || !request.running.empty()) return true;
    return slots > 0 ? jobs::claimable(c, claimant) : Result<bool>(false);
}

net::Async<Result<protocol::Lease>> to_lease(Core& core, Job job) {
    CONSIGN_CO_TRY(offset, co_await core.logs->fence(job.id, job.epoch));
    CONSIGN_CO_TRY(spec, json::parse(job.spec));
    co_return protocol::Lease{.job = job.id,
                              .epoch = job.epoch,
                              .deadline = *job.deadline,
                              .attempt = job.attempt,
                              .run_limit_s = static_cast<int>(job.run_limit.count()),
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

/// The first poll of a session, or of a new program in it: tells the store.
net::Async<Result<void>> introduce(Core& core, const AgentEntry& agent, const PollRequest& request) {
    bool known = false;
    {
        std::lock_guard lock(agent.presence->mutex);
        agent.presence->last_seen = core.clock.now();
        known = agent.presence->session == request.session;
    }
    if (!known || request.abilities)
        CONSIGN_CO_CHECK(co_await core.change(
            [id = agent.id, session = request.session, abilities = request.abilities](Change& change) -> Result<void> {
                CONSIGN_CHECK(sessions::take_over(change, id, session));
                return abilities ? agents::report(change, id, *abilities) : Result<void>{};
            }));
    std::lock_guard lock(agent.presence->mutex);
    if (!known) {
        agent.presence->session = request.session;
        agent.presence->told.clear();
    }
    agent.presence->left = request.leaving;
    co_return Result<void>{};
}

/// One look for news, added to the answer. True: it is worth answering with.
net::Async<Result<bool>> look(Core& core, const AgentEntry& agent, const PollRequest& request,
                              std::uint64_t generation, PollResponse& response) {
    const auto claimant = claimant_of(agent, request.session);
    const int slots = agent.draining ? 0 : request.slots;
    CONSIGN_CO_TRY(busy, co_await core.db->read([claimant, request, slots](store::Connection& c) {
        return anything_to_do(c, claimant, request, slots);
    }));
    if (!busy) co_return false;
    CONSIGN_CO_TRY(work, co_await core.change([presence = agent.presence, claimant, request, slots, generation,
                                               lease = core.options.lease](
                                                  Change& change) -> Result<sessions::Work> {
        if (!Attendance::newest(*presence, generation)) return sessions::Work{};
        return sessions::reconcile(change, claimant, request, slots, lease);
    }));
    for (auto& job : work.claimed) {
        CONSIGN_CO_TRY(granted, co_await to_lease(core, std::move(job)));
        response.leases.push_back(std::move(granted));
    }
    response.lost = std::move(work.lost);
    const bool news = note_cancels(*agent.presence, work.cancel);
    response.cancel = std::move(work.cancel);
    co_return news || !response.leases.empty() || !response.lost.empty();
}

} // namespace

net::Async<Result<net::Response>> poll(Call& call) {
    CONSIGN_CO_TRY(request, call.json<PollRequest>());
    if (request.session.empty() || request.slots < 0 || request.slots > 1024 || request.wait_s < 0)
        co_return fail(Code::invalid_argument,
                       "a poll needs a session, slots of 0 to 1024 and a wait_s of 0 to 55");
    if (request.leaving) request.slots = request.wait_s = 0;
    Core& core = call.core;
    ++core.counters.polls;
    CONSIGN_CO_CHECK(co_await introduce(core, *call.caller.agent, request));
    const auto id = call.caller.agent->id;
    const auto presence = call.caller.agent->presence;
    Attendance attendance(presence);
    presence->mailbox.notify(); // an older poll that is still parked sees that it is stale, and ends

    PollResponse response;
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::seconds(std::min(request.wait_s, 55));
    Dispatcher::Place place(core.dispatcher, call.caller.agent->pool(), presence);
    for (bool last = false;;) {
        const auto seen = presence->mailbox.version(); // before we look
        const auto agent = core.directory.agent(id); // as it is now: what it may do changes while it waits
        if (!agent || agent->revoked)
            co_return fail(Code::unauthenticated, std::format("agent {} is revoked", id.str()),
                           "enrol the agent again");
        if (request.slots > 0 && !agent->draining)
            place.enter();
        else
            place.leave();
        response.next = {.wait_s = 50,
                         .renew_s = static_cast<int>(core.options.lease.count() / 3),
                         .rotate_key = agent->rotate_key && !agent->next_key};
        CONSIGN_CO_TRY(news, co_await look(core, *agent, request, attendance.generation(), response));
        last |= news || response.next.rotate_key;
        {
            std::lock_guard lock(presence->mutex);
            presence->last_seen = core.clock.now();
            if (presence->session != request.session) co_return std::unexpected(sessions::superseded());
            if (presence->generation != attendance.generation()) last = true;
        }
        if (last || std::chrono::steady_clock::now() >= deadline) break;
        const auto woken = co_await call.request.parking->wait_past(presence->mailbox, seen, deadline);
        if (woken == net::Wake::gone) co_return fail(Code::cancelled, "the agent hung up");
        if (woken == net::Wake::draining) break;
        last = woken == net::Wake::deadline;
    }
    core.counters.leases += response.leases.size();
    if (response.leases.empty() && response.cancel.empty() && response.lost.empty() &&
        !response.next.rotate_key)
        co_return net::Response::empty(204);
    co_return answer(response);
}

} // namespace consign::ims
