#include "agent/session.hpp"
#include "agent/key_rotation.hpp"
#include "agent/wait.hpp"
#include "consign/base/log.hpp"
#include "consign/base/memory.hpp"
#include "consign/net/backoff.hpp"
#include <algorithm>

namespace consign::agent {
namespace {

using std::chrono::seconds;

// The answer to a poll may take its wait and a slow network. 50 + 15 s stays below the 75 s after which our
// server closes an idle connection.
constexpr seconds kPollMargin{15};
constexpr int kLongestWait = 55;  // a server asking for more would meet proxies that cut at 60 s
constexpr seconds kLastWrites{5}; // after the grace
// A server that has work answers a poll within milliseconds. One that was sent less than this ago may have
// its leases on the way: giving it up would send their jobs back to the queue. One that is older is parked.
constexpr std::chrono::milliseconds kParkedAfter{100};
constexpr std::chrono::milliseconds kTooSoon{500}; // for an answer that says nothing

bool ends_the_agent(Code code) {
    return code == Code::session_superseded || code == Code::unauthenticated ||
           code == Code::permission_denied || code == Code::not_found;
}

Error explain(Error error) {
    if (error.code == Code::session_superseded) {
        if (error.hint.empty()) error.hint = "run one process per data directory, and do not copy it";
        return error;
    }
    if (error.hint.empty())
        error.hint =
            "if the agent was revoked or the IMS is a new one: remove agent.json from the data directory and "
            "enrol with a new token";
    return with_context(std::move(error), "the IMS does not accept this agent");
}

} // namespace

struct Session::Poll {
    explicit Poll(protocol::PollRequest what) : request(std::move(what)) {}
    protocol::PollRequest request;
    std::optional<Result<protocol::PollResponse>> answer;
    seconds retry_after{0};
    const net::SteadyTime sent_at = std::chrono::steady_clock::now();

    /// Nothing, long before the wait was over: the IMS drains before a restart, and ten thousand agents have
    /// just been told so in the same moment.
    bool was_cut_short() const {
        const auto& got = **answer;
        return got.leases.empty() && got.cancel.empty() && got.lost.empty() && !got.next.rotate_key &&
               request.wait_s > 0 &&
               std::chrono::steady_clock::now() - sent_at < kTooSoon;
    }
};

Session::Session(RunEnvironment& environment, SessionId id, SessionOptions options)
    : environment_(environment), options_(std::move(options)), id_(std::move(id)),
      jobs_(environment.io.executor()) {}

void Session::stop() {
    stopping_ = true;
    wake_.notify();
}

net::Async<Result<void>> Session::run() {
    auto ended = co_await loop();
    // An agent that was replaced, or is unknown now, has no leases.
    co_await wind_down(ended.has_value());
    co_await jobs_.join();
    co_return ended;
}

net::Async<Result<void>> Session::loop() {
    net::Backoff backoff;
    bool connected = false, away = false;
    bool worked = true; // since the last time that memory was given back; starting up counts
    for (;;) {
        const auto seen =
            wake_.version(); // before the look at stopping_, or a stop in between would be slept over
        if (stopping_) co_return Result<void>();
        if (connected && runs_.empty() && std::exchange(worked, false)) release_idle_memory();
        const auto poll = co_await this->poll(next_request(connected && !away), seen);
        if (!poll->answer || stopping_) continue; // a job ended: ask again with the slot it freed
        if (!*poll->answer) {
            const Error& error = poll->answer->error();
            if (ends_the_agent(error.code)) co_return std::unexpected(explain(error));
            if (options_.once && !connected) co_return std::unexpected(error);
            if (!std::exchange(away, true))
                log::warn("the IMS cannot be polled; trying again", {{"error", to_string(error)}});
            co_await pause(std::max<std::chrono::milliseconds>(backoff.next(), poll->retry_after));
            continue;
        }
        if (std::exchange(away, false) || !connected)
            log::info("polling the IMS", {{"ims", environment_.ims.url().str()}, {"session", id_.str()}});
        introduced_ = true;
        if (!std::exchange(connected, true)) co_await greet();
        if (poll->was_cut_short()) {
            co_await pause(backoff.next());
            continue;
        }
        backoff.reset();
        auto& answer = **poll->answer;
        const bool idle = answer.leases.empty();
        worked |= !idle;
        rotation_pending_ |= answer.next.rotate_key;
        apply(poll->request, answer);
        if (rotation_pending_) co_await rotate();
        // While the IMS asks for a key that cannot be made or sent, it answers at once: not a race with it.
        if (rotation_pending_) co_await pause(backoff.next());
        if (!options_.once || !idle) continue;
        if (runs_.empty()) co_return Result<void>();
        const auto settled = wake_.version();
        if (!stopping_)
            co_await wait_past(wake_, settled, std::chrono::steady_clock::now() + seconds(cadence_.renew_s));
    }
}

protocol::AgentAbilities Session::abilities() const {
    protocol::AgentAbilities out{.version = options_.version, .job_kinds = {}};
    for (const auto& [kind, handler] : environment_.handlers) out.job_kinds.emplace_back(json::name_of(kind));
    return out;
}

net::Async<void> Session::rotate() {
    const auto done = co_await rotate_key(environment_.io, environment_.ims, environment_.data);
    rotation_pending_ = !done; // with the answer to the next poll it is tried again
    if (!done) log::warn("the key could not be rotated; trying again", {{"error", to_string(done.error())}});
}

net::Async<void> Session::greet() {
    if (!options_.on_connected) co_return;
    const auto done = co_await environment_.io.blocking().run(options_.on_connected);
    if (!done) log::warn("the data directory cannot be written", {{"error", to_string(done.error())}});
}

/// Out of touch, the poll is answered at once: only an answer tells that the IMS is there and takes us for
/// who we are, and a parked one may take a minute to come.
protocol::PollRequest Session::next_request(bool in_touch) const {
    protocol::PollRequest request{.session = id_, .slots = 0, .running = {}, .wait_s = cadence_.wait_s};
    request.slots = std::max(0, options_.slots - static_cast<int>(runs_.size()));
    for (const auto& run : runs_)
        if (run->is_ours()) request.running.push_back({run->lease().job, run->lease().epoch});
    if (!request.running.empty()) request.wait_s = std::min(cadence_.wait_s, cadence_.renew_s);
    if (options_.once || !in_touch) request.wait_s = 0;
    if (!introduced_) {
        request.abilities = abilities();
        request.leftovers = options_.leftovers;
    }
    return request;
}

/// Returns with the answer, or without one when something happened that the next poll should tell.
net::Async<std::shared_ptr<Session::Poll>> Session::poll(protocol::PollRequest request, std::uint64_t seen) {
    const auto poll = std::make_shared<Poll>(std::move(request));
    net::TaskGroup sending(environment_.io.executor());
    sending.spawn(send_poll(poll));
    const auto parked = poll->sent_at + kParkedAfter;
    co_await wait_past(wake_, seen, kNoDeadline);
    while (!poll->answer && std::chrono::steady_clock::now() < parked) {
        const auto again = wake_.version();
        if (stopping_) break;
        co_await wait_past(wake_, again, parked);
    }
    sending.stop();
    co_await sending.join();
    if (poll->answer && !*poll->answer && poll->answer->error().code == Code::cancelled) poll->answer.reset();
    co_return poll;
}

net::Async<void> Session::send_poll(std::shared_ptr<Poll> poll) {
    auto sent = co_await environment_.ims.send({.path = "/v1/agent/poll",
                                                .body = json::to_text(poll->request),
                                                .deadline = seconds(poll->request.wait_s) + kPollMargin});
    if (!sent) {
        poll->answer = std::unexpected(std::move(sent).error());
    } else if (!sent->ok()) {
        poll->retry_after = sent->retry_after.value_or(seconds(0));
        poll->answer = std::unexpected(error_of(*sent, environment_.ims.url()));
    } else if (sent->status == 204) {
        poll->answer = protocol::PollResponse{.leases = {}, .cancel = {}, .lost = {}, .next = cadence_};
    } else {
        poll->answer = json::decode_text<protocol::PollResponse>(sent->body);
    }
    wake_.notify();
}

/// For that long, or until stop().
net::Async<void> Session::pause(std::chrono::milliseconds duration) {
    const auto until = std::chrono::steady_clock::now() + duration;
    while (!stopping_ && std::chrono::steady_clock::now() < until) {
        const auto seen = wake_.version();
        if (!stopping_) co_await wait_past(wake_, seen, until);
    }
}

void Session::apply(const protocol::PollRequest& request, protocol::PollResponse& answer) {
    cadence_ = {.wait_s = std::clamp(answer.next.wait_s, 0, kLongestWait),
                .renew_s = std::clamp(answer.next.renew_s, 1, kLongestWait)};
    const auto listed = [&](const JobRun& run) {
        return std::ranges::any_of(request.running, [&](const protocol::RunningJob& job) {
            return job.job == run.lease().job && job.epoch == run.lease().epoch;
        });
    };
    for (const auto& run : runs_) {
        if (std::ranges::contains(answer.lost, run->lease().job) && listed(*run)) run->lose();
        if (std::ranges::contains(answer.cancel, run->lease().job) && run->is_ours()) run->cancel();
    }
    for (auto& lease : answer.leases) {
        const bool known = std::ranges::any_of(runs_, [&](const auto& run) {
            return run->lease().job == lease.job && run->lease().epoch == lease.epoch;
        });
        if (known) continue;
        runs_.push_back(std::make_shared<JobRun>(environment_, std::move(lease)));
        jobs_.spawn(work(runs_.back()));
    }
}

bool Session::older_attempt_runs(const JobRun& run) const {
    return std::ranges::any_of(runs_, [&](const auto& other) {
        return other->lease().job == run.lease().job && other->lease().epoch < run.lease().epoch;
    });
}

/// Two attempts of one job never run at the same time on this machine: they would work on the same files.
net::Async<void> Session::work(std::shared_ptr<JobRun> run) {
    for (auto seen = wake_.version(); older_attempt_runs(*run); seen = wake_.version())
        co_await wait_past(wake_, seen, kNoDeadline);
    co_await run->drive();
    std::erase(runs_, run);
    wake_.notify();
}

net::Async<void> Session::wind_down(bool ours) {
    const auto grace_ends = std::chrono::steady_clock::now() + options_.grace;
    for (const auto& run : runs_) ours ? run->shut_down(grace_ends + kLastWrites) : run->lose();
    bool in_grace = ours;
    while (!runs_.empty()) {
        const auto seen = wake_.version();
        co_await wait_past(wake_, seen, in_grace ? grace_ends : kNoDeadline);
        if (!in_grace || std::chrono::steady_clock::now() < grace_ends) continue;
        in_grace = false;
        for (const auto& run : runs_) {
            log::warn("a job did not stop in time; its lease is given back",
                      {{"job", run->lease().job.str()}});
            run->give_back();
        }
    }
    if (!ours) co_return;
    // An empty list tells the IMS at once that nothing runs here: leases of a poll we gave up go to others
    // now rather than when they run out. If it cannot be told, they run out.
    auto farewell =
        std::make_shared<Poll>(protocol::PollRequest{
        .session = id_, .slots = 0, .running = {}, .wait_s = 0, .leaving = true});
    net::TaskGroup sending(environment_.io.executor());
    const auto seen = wake_.version();
    sending.spawn(send_poll(farewell));
    co_await wait_past(wake_, seen, std::chrono::steady_clock::now() + kLastWrites);
    sending.stop();
    co_await sending.join();
}

} // namespace consign::agent
