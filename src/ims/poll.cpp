#include "poll.hpp"
#include "agents.hpp"
#include "sessions.hpp"
#include <algorithm>
#include <format>

namespace consign::ims {
namespace {

using protocol::PollRequest;
using protocol::PollResponse;

/// Whether no later poll of the same agent has come. An older one's connection is most likely dead, and a job that
/// it claimed would lie unheard until the lease runs out.
bool is_newest(Presence& presence, std::uint64_t generation) {
    std::lock_guard lock(presence.mutex);
    return presence.generation == generation;
}

jobs::Claimant claimant_of(const AgentEntry& agent, const SessionId& session) {
    return {.agent = agent.id, .session = session, .pool = agent.pool(), .kinds = agent.job_kinds};
}

/// Whether a write is worth it: an idle poll costs one read, no commit.
Result<bool> anything_to_do(store::Connection& c, const jobs::Claimant& claimant,
                            const PollRequest& request) {
    CONSIGN_TRY(held,
                c.query_one("SELECT 1 FROM jobs WHERE agent=$1 AND state IN ('leased', 'running') LIMIT 1",
                            {claimant.agent}, [](const store::Row&) { return true; }));
    if (held || !request.running.empty()) return true;
    return request.slots > 0 ? jobs::claimable(c, claimant) : Result<bool>(false);
}

/// Without its spec: see with_specs().
net::Async<Result<protocol::Lease>> to_lease(Core& core, const Job& job) {
    CONSIGN_CO_TRY(offset, co_await core.logs->fence(job.id, job.epoch));
    co_return protocol::Lease{.job = job.id,
                              .epoch = job.epoch,
                              .deadline = *job.deadline,
                              .attempt = job.attempt,
                              .run_limit_s = static_cast<int>(job.run_limit.count()),
                              .kind = job.kind,
                              .log_offset = offset,
                              .spec = nullptr};
}

/// The answer's text with the leases' specs, as they are stored: parsing one, to write the same text again, would
/// cost more than the rest. In a string of the answer the quotes of the mark would be escaped.
std::string with_specs(const PollResponse& response, const std::vector<std::string>& specs) {
    constexpr std::string_view kMark = "\"spec\":null";
    auto text = json::to_text(response);
    std::size_t at = 0;
    for (const auto& spec : specs) {
        at = text.find(kMark, at);
        text.replace(at + kMark.size() - 4, 4, spec);
        at += kMark.size() - 4 + spec.size();
    }
    return text;
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
    // Two sessions may come at once, on two threads, and the store has said which is the newer: ids grow.
    if (request.session < agent.presence->session) co_return std::unexpected(sessions::superseded());
    if (request.session != agent.presence->session) {
        agent.presence->session = request.session;
        ++agent.presence->sessions;
        agent.presence->told.clear();
    }
    agent.presence->left = request.leaving;
    co_return Result<void>{};
}

/// What of a poll is needed until it is answered; the rest of its request is not kept.
struct Asked {
    int slots = 0;
    std::vector<protocol::RunningJob> running;
    std::uint64_t sessions = 0;   ///< of its presence, when it came
    std::uint64_t generation = 0; ///< likewise: whether it is the newest
};

/// What a look found.
struct Found {
    bool news = false;    ///< worth answering with
    bool looked = false;  ///< it was really looked: a wake-up is answered by this
    bool cancels = false; ///< told before, and not obeyed yet
};

/// One look for news, added to the answer. `leftovers`: of the first look.
net::Async<Result<Found>> look(Core& core, const AgentEntry& agent, const Asked& asked,
                              std::vector<protocol::RunningJob> leftovers, PollResponse& response,
                              std::vector<std::string>& specs) {
    PollRequest request{.slots = agent.draining ? 0 : asked.slots,
                        .running = asked.running,
                        .leftovers = std::move(leftovers)};
    {
        std::lock_guard lock(agent.presence->mutex);
        if (agent.presence->sessions != asked.sessions) co_return Found{}; // it is told in a moment
        request.session = agent.presence->session;
    }
    const auto claimant = claimant_of(agent, request.session);
    const int slots = request.slots;
    if (slots == 0 || !core.dispatcher.has_backlog(claimant.pool)) {
        CONSIGN_CO_TRY(busy, co_await core.db->read([claimant, request](store::Connection& c) {
            return anything_to_do(c, claimant, request);
        }));
        if (!busy) co_return Found{.looked = true};
    }
    CONSIGN_CO_TRY(done, co_await core.change([presence = agent.presence, claimant, request,
                                               generation = asked.generation, lease = core.options.lease](
                                                  Change& change) -> Result<std::optional<sessions::Work>> {
        if (!is_newest(*presence, generation)) return std::nullopt;
        return sessions::reconcile(change, claimant, request, request.slots, lease);
    }));
    if (!done) co_return Found{};
    auto& work = *done;
    if (static_cast<int>(work.claimed.size()) < slots) core.dispatcher.no_backlog(claimant.pool);
    for (auto& job : work.claimed) {
        CONSIGN_CO_TRY(granted, co_await to_lease(core, job));
        response.leases.push_back(std::move(granted));
        specs.push_back(std::move(job.spec));
    }
    response.lost = std::move(work.lost);
    const bool news = note_cancels(*agent.presence, work.cancel);
    response.cancel = std::move(work.cancel);
    co_return Found{.news = news || !response.leases.empty() || !response.lost.empty(),
                    .looked = true,
                    .cancels = !response.cancel.empty()};
}

/// One poll, from its first look for work to its answer. What is here is all that a parked one costs.
class Poll final : public net::Later {
  public:
    Poll(Core& core, std::shared_ptr<Presence> presence, PollRequest& request)
        : core_(core), presence_(std::move(presence)),
          deadline_(std::chrono::steady_clock::now() + std::chrono::seconds(std::min(request.wait_s, 55))),
          place_(core.dispatcher, *presence_) {
        std::lock_guard lock(presence_->mutex);
        asked_ = {.slots = request.slots,
                  .running = std::move(request.running),
                  .sessions = presence_->sessions,
                  .generation = ++presence_->generation};
        ++presence_->parked;
    }
    ~Poll() override {
        std::lock_guard lock(presence_->mutex);
        --presence_->parked;
    }

    Until until() override { return {presence_->mailbox, seen_, deadline_}; }
    std::chrono::milliseconds limit() const override { return kAnswerDeadline; }
    net::Async<net::Response> resume(std::shared_ptr<Later> self, net::Wake why) override {
        // Nothing has moved the mailbox, so there is nothing new: that is an answer, and costs no look. Cancels are
        // told again: the answer that had them may have been lost.
        if (why != net::Wake::notified && !cancels_) co_return net::Response::empty(204);
        co_return conclude(core_, "/v1/agent/poll",
                           co_await go_on(std::static_pointer_cast<Poll>(std::move(self)), {}));
    }

    /// Looks for news, and answers or parks.
    net::Async<Result<net::Response>> go_on(std::shared_ptr<Poll> self,
                                            std::vector<protocol::RunningJob> leftovers);

  private:
    Core& core_;
    const std::shared_ptr<Presence> presence_;
    const net::SteadyTime deadline_;
    Dispatcher::Place place_;
    Asked asked_;
    std::uint64_t seen_ = 0;
    bool cancels_ = false; ///< it was told to end something, perhaps in an answer that was lost
};

net::Async<Result<net::Response>> Poll::go_on(std::shared_ptr<Poll> self,
                                              std::vector<protocol::RunningJob> leftovers) {
    PollResponse response;
    std::vector<std::string> specs; // of response.leases
    seen_ = presence_->mailbox.version(); // before the look
    const auto agent = core_.directory.agent(presence_->agent); // as it is now: what it may do changes meanwhile
    if (!agent || agent->revoked)
        co_return fail(Code::unauthenticated, std::format("agent {} is revoked", presence_->agent.str()),
                       "enrol the agent again");
    if (asked_.slots > 0 && !agent->draining)
        place_.enter();
    else
        place_.leave();
    response.next = {.wait_s = 50,
                     .renew_s = static_cast<int>(core_.options.lease.count() / 3),
                     .rotate_key = agent->rotate_key && !agent->next_key};
    bool last = std::chrono::steady_clock::now() >= deadline_ || response.next.rotate_key;
    CONSIGN_CO_TRY(found, co_await look(core_, *agent, asked_, std::move(leftovers), response, specs));
    if (found.looked) place_.answered();
    cancels_ = found.cancels;
    {
        std::lock_guard lock(presence_->mutex);
        presence_->last_seen = core_.clock.now();
        if (presence_->sessions != asked_.sessions) co_return std::unexpected(sessions::superseded());
        last |= presence_->generation != asked_.generation;
    }
    if (!found.news && !last) co_return net::Response{.later = std::move(self)};
    core_.counters.leases += response.leases.size();
    if (response.leases.empty() && response.cancel.empty() && response.lost.empty() &&
        !response.next.rotate_key)
        co_return net::Response::empty(204);
    co_return net::Response::json(200, with_specs(response, specs));
}

} // namespace

net::Async<Result<net::Response>> poll(Call& call) {
    CONSIGN_CO_TRY(request, call.json<PollRequest>());
    if (request.session.empty() || request.slots < 0 || request.slots > 1024 || request.wait_s < 0)
        co_return fail(Code::invalid_argument,
                       "a poll needs a session, slots of 0 to 1024 and a wait_s of 0 to 55");
    if (request.leaving) request.slots = request.wait_s = 0;
    ++call.core.counters.polls;
    CONSIGN_CO_CHECK(co_await introduce(call.core, *call.caller.agent, request));
    const auto& presence = call.caller.agent->presence;
    const auto poll = std::make_shared<Poll>(call.core, presence, request);
    presence->mailbox.notify(); // an older poll that is still parked sees that it is stale, and ends
    co_return co_await poll->go_on(poll, std::move(request.leftovers));
}

} // namespace consign::ims
