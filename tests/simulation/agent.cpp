#include "agent.hpp"
#include <algorithm>
#include <format>

namespace simulation {

using namespace std::chrono_literals;

void Process::start() {
    up_ = true;
    introduced_ = false;
    session_ = SessionId::make(world_.now());
    leftovers_ = std::exchange(journal_, {});
    poll_backoff_ = 500ms;
    poll();
}

void Process::crash() {
    up_ = false;
    ++life_;
    attempts_.clear();
    unanswered_.clear();
}

Process::Attempt* Process::attempt(const JobId& job, std::int64_t epoch) {
    const auto found = attempts_.find(job);
    return found != attempts_.end() && found->second.epoch == epoch ? &found->second : nullptr;
}

void Process::drop(const JobId& job) {
    attempts_.erase(job);
    std::erase_if(journal_, [&](const auto& entry) { return entry.job == job; });
}

void Process::poll() {
    Request request{.kind = Request::Kind::poll, .process = number_, .id = next_id_++, .agent = agent_};
    poll_id_ = request.id;
    request.poll.session = session_;
    request.poll.slots = std::max(0, kSlots - static_cast<int>(attempts_.size()));
    for (const auto& [job, attempt] : attempts_) request.poll.running.push_back({job, attempt.epoch});
    request.poll.wait_s = !introduced_ ? 0 : attempts_.empty() ? 50 : 15;
    if (!introduced_) {
        request.poll.leftovers = leftovers_;
        request.poll.abilities = protocol::AgentAbilities{.version = "1", .job_kinds = kinds_};
    }
    const auto id = request.id;
    const auto patience = std::chrono::seconds(request.poll.wait_s + 15);
    world_.send(std::move(request));
    world_.after(number_, patience, [this, id] {
        if (poll_id_ == id) poll(); // no answer came
    });
}

void Process::receive(const Response& response) {
    if (!up_) return;
    response.request.kind == Request::Kind::poll ? on_poll(response) : on_write(response);
}

void Process::on_poll(const Response& response) {
    if (response.request.id != poll_id_) return; // given up, or a duplicate
    poll_id_ = 0;
    if (response.error) {
        if (response.error->code == Code::session_superseded || response.error->code == Code::unauthenticated)
            return crash();
        poll_backoff_ = std::min<Millis>(poll_backoff_ * 2, 30s);
        return world_.after(number_, poll_backoff_, [this] { poll(); });
    }
    introduced_ = true;
    poll_backoff_ = 500ms;
    for (const auto& job : response.poll.lost) {
        const auto& listed = response.request.poll.running;
        const auto entry = std::ranges::find_if(listed, [&](const auto& one) { return one.job == job; });
        if (entry != listed.end() && attempt(job, entry->epoch)) drop(job);
    }
    for (const auto& job : response.poll.cancel)
        if (const auto found = attempts_.find(job); found != attempts_.end()) found->second.stopping = true;
    for (const auto& lease : response.poll.leases) begin(lease);
    world_.after(number_, Millis(world_.random().between(1, 300)), [this] {
        if (poll_id_ == 0) poll();
    });
}

void Process::begin(const protocol::Lease& lease) {
    if (const auto known = attempts_.find(lease.job);
        known != attempts_.end() && known->second.epoch >= lease.epoch)
        return;
    drop(lease.job);
    attempts_[lease.job] = {.epoch = lease.epoch,
                            .lines_to_write = static_cast<int>(world_.random().between(0, 4)),
                            .log_offset = lease.log_offset};
    journal_.push_back({lease.job, lease.epoch});
    insist({.kind = Request::Kind::start, .job = lease.job, .epoch = lease.epoch}, 500ms);
}

void Process::insist(Request request, Millis pause) {
    request.process = number_;
    request.agent = agent_;
    request.id = next_id_++;
    const auto id = request.id;
    unanswered_[id] = request;
    world_.send(request);
    world_.after(number_, pause + Millis(world_.random().between(0, 2000)), [this, id, pause] {
        const auto found = unanswered_.find(id);
        if (found == unanswered_.end()) return;
        auto again = std::move(found->second);
        unanswered_.erase(found);
        if (attempt(again.job, again.epoch)) insist(std::move(again), std::min<Millis>(pause * 2, 30s));
    });
}

void Process::on_write(const Response& response) {
    const auto& request = response.request;
    if (unanswered_.erase(request.id) == 0) return; // it was sent again meanwhile, or is a duplicate
    auto* mine = attempt(request.job, request.epoch);
    if (!mine) return;
    if (response.error) {
        if (response.error->code == Code::unavailable) return insist(request, 1s);
        return drop(request.job); // lease_lost, not_found, unauthenticated: this attempt is over
    }
    switch (request.kind) {
    case Request::Kind::start:
        mine->started = true;
        return work(request.job, request.epoch);
    case Request::Kind::logs: {
        const auto stored = response.expected_offset - mine->log_offset;
        if (stored < 0 || stored > static_cast<std::int64_t>(mine->unsent.size())) return;
        const auto count = std::ranges::count(mine->unsent.substr(0, static_cast<std::size_t>(stored)), '\n');
        mine->unsent.erase(0, static_cast<std::size_t>(stored));
        mine->log_offset = response.expected_offset;
        mine->lines_known += static_cast<int>(count);
        world_.lines_stored(request.job, request.epoch, mine->lines_known);
        if (!mine->unsent.empty()) return ship(request.job, *mine);
        return work(request.job, request.epoch);
    }
    case Request::Kind::complete:
        return drop(request.job);
    case Request::Kind::steps:
    case Request::Kind::renew:
    case Request::Kind::poll:
        return;
    }
}

void Process::work(const JobId& job, std::int64_t epoch) {
    world_.after(number_, Millis(world_.random().between(50, 8000)), [this, job, epoch] {
        auto* mine = attempt(job, epoch);
        if (!mine || mine->completing) return;
        if (mine->stopping && stuck_) return work(job, epoch);
        if (!mine->stopping && mine->lines_written < mine->lines_to_write) {
            mine->unsent += std::format("{}.{}\n", epoch, ++mine->lines_written);
            if (world_.random().chance(30))
                insist({.kind = Request::Kind::steps,
                        .job = job,
                        .epoch = epoch,
                        .steps = {{.seq = mine->lines_written, .name = "work", .at = world_.now()}}},
                       500ms);
            if (world_.random().chance(10)) insist({.kind = Request::Kind::renew, .job = job, .epoch = epoch}, 500ms);
            return ship(job, *mine);
        }
        complete(job, *mine);
    });
}

void Process::ship(const JobId& job, Attempt& attempt) {
    insist({.kind = Request::Kind::logs,
            .job = job,
            .epoch = attempt.epoch,
            .offset = attempt.log_offset,
            .lines = attempt.unsent},
           500ms);
}

void Process::complete(const JobId& job, Attempt& attempt) {
    attempt.completing = true;
    auto& end = attempt.completion;
    const auto luck = world_.random().between(1, 100);
    if (attempt.stopping)
        end = {.outcome = protocol::Outcome::cancelled};
    else if (luck <= 6)
        end = {.outcome = protocol::Outcome::failed, .error = "it broke"};
    else if (luck <= 12)
        end = {.outcome = protocol::Outcome::failed, .may_pass = true, .error = "the registry is away"};
    else if (luck <= 16)
        end = {.outcome = protocol::Outcome::given_back, .error = "the agent stops"};
    else
        end = {.outcome = protocol::Outcome::succeeded};
    insist({.kind = Request::Kind::complete, .job = job, .epoch = attempt.epoch, .completion = end}, 500ms);
}

} // namespace simulation
