#include "server.hpp"
#include "ims/agents.hpp"
#include "ims/limits.hpp"
#include "ims/log_streams.hpp"
#include "ims/migrations.hpp"
#include "ims/schedules.hpp"
#include "store/migrate.hpp"
#include <algorithm>
#include <format>

namespace simulation {

using namespace std::chrono_literals;
namespace jobs = ims::jobs;
namespace sessions = ims::sessions;

namespace {
constexpr std::chrono::seconds kLease{45};

std::unique_ptr<store::SqliteConnection> open(const std::filesystem::path& file,
                                              std::span<const store::Migration> migrations) {
    auto db = store::SqliteConnection::open(file, store::SqliteConnection::Role::writer, false);
    if (!db || !(*db)->run("PRAGMA synchronous = OFF") || !store::migrate(**db, file, migrations))
        throw Violation("cannot make a database");
    return std::move(*db);
}
} // namespace

Server::Server(const std::filesystem::path& file, Random& random, const ManualClock& clock, Checker& checker)
    : random_(random), clock_(clock), checker_(checker), db_(open(file / "ims.db", ims::migrations())),
      logs_(open(file / "logs.db", ims::log_streams::migrations())) {}

void Server::crash() {
    up_ = false;
    presence_.clear();
    parked_.clear();
    outgoing_.clear();
}

void Server::start() {
    up_ = true;
    const auto fragile = std::exchange(fragile_percent_, 0); // a start that fails is tried again, no more
    (void)change([&](ims::Change& change) -> Result<void> {
        CONSIGN_CHECK(ims::schedules::arrange_all(change, {}));
        return jobs::extend_leases(change, kLease);
    });
    fragile_percent_ = fragile;
    (void)db_->query("SELECT agent, id FROM agent_sessions WHERE superseded=0", {}, [&](const store::Row& row) {
        presence_[row.id<AgentId>(0)].session = row.id<SessionId>(1);
        return true;
    });
}

bool Server::commit_or_die() {
    const bool dies = random_.chance(100) && random_.between(1, 1000) <= fragile_percent_ * 10;
    if (dies && random_.chance(50)) {
        (void)db_->run("ROLLBACK");
        crash();
        return false;
    }
    if (!db_->run("COMMIT")) throw Violation("cannot commit");
    if (dies) crash();
    return true;
}

Result<Server::Agent> Server::agent(const AgentId& id) {
    CONSIGN_TRY(found, db_->query_one("SELECT install, kind, job_kinds, revoked, draining FROM agents WHERE "
                                      "id=$1",
                                      {id}, [](const store::Row& row) {
                                          const auto kind = row.text(1) == "build"
                                                                ? protocol::AgentKind::build
                                                                : protocol::AgentKind::install;
                                          return Agent{.pool = {row.id<InstallId>(0)},
                                                       .kinds = ims::agents::split_kinds(row.text(2), kind),
                                                       .revoked = row.boolean(3),
                                                       .draining = row.boolean(4)};
                                      }));
    if (!found || found->revoked) return fail(Code::unauthenticated, "unknown or revoked");
    return std::move(*found);
}

void Server::answer(const Request& request, std::optional<Error> error, protocol::PollResponse poll) {
    outgoing_.push_back({.process = request.process,
                         .request = request,
                         .error = std::move(error),
                         .poll = std::move(poll)});
}

void Server::handle(const Request& request) {
    if (const auto known = agent(request.agent); !known) return answer(request, known.error());
    request.kind == Request::Kind::poll ? poll(request) : write(request);
}

void Server::poll(const Request& request) {
    auto& presence = presence_[request.agent];
    if (presence.session != request.poll.session || request.poll.abilities) {
        const auto done = change([&](ims::Change& change) -> Result<void> {
            CONSIGN_CHECK(sessions::take_over(change, request.agent, request.poll.session));
            return request.poll.abilities
                       ? ims::agents::report(change, request.agent, *request.poll.abilities)
                       : Result<void>{};
        });
        if (!done) return;
        if (!*done) return answer(request, done->error());
        auto& now = presence_[request.agent];
        if (now.session != request.poll.session) now.told.clear();
        now.session = request.poll.session;
    }
    const auto generation = ++presence_[request.agent].generation;
    // Older polls of the same agent are stale: they end, with an error if their session is over.
    look_again([&](const Parked& parked) { return parked.request.agent == request.agent; }, 1000);
    if (!up_) return;
    const auto until = clock_.now() + std::chrono::seconds(request.poll.wait_s);
    if (look_for_work(request, generation, request.poll.wait_s == 0) && up_)
        parked_.push_back({request, generation, until});
}

bool Server::look_for_work(const Request& request, std::uint64_t generation, bool last) {
    const auto known = agent(request.agent);
    if (!known) {
        answer(request, known.error());
        return false;
    }
    const jobs::Claimant claimant{.agent = request.agent,
                                  .session = request.poll.session,
                                  .pool = known->pool,
                                  .kinds = known->kinds};
    const int slots = known->draining ? 0 : request.poll.slots;
    protocol::PollResponse response;
    const auto held = jobs::held_by(*db_, request.agent);
    const bool busy = (held && !held->empty()) || !request.poll.running.empty() ||
                      (slots > 0 && jobs::claimable(*db_, claimant).value_or(false));
    if (busy && presence_[request.agent].generation == generation) {
        std::vector<ims::Job> leased;
        const auto work = change([&](ims::Change& change) -> Result<sessions::Work> {
            auto done = sessions::reconcile(change, claimant, request.poll, slots, kLease);
            if (done) leased = done->claimed;
            return done;
        });
        for (const auto& job : leased) {
            const auto stored = jobs::get(*db_, job.id);
            if (stored && stored->epoch == job.epoch) checker_.claimed(job); // else it was rolled back
        }
        if (!work) return false; // died
        if (!*work) {
            answer(request, work->error());
            return false;
        }
        for (const auto& job : (*work)->claimed) {
            const auto offset = job.epoch == ims::log_streams::kFirstEpoch
                                    ? Result<std::int64_t>(0)
                                    : ims::log_streams::fence(*logs_, job.id, job.epoch);
            if (!offset) throw Violation("cannot fence a log");
            response.leases.push_back({.job = job.id,
                                       .epoch = job.epoch,
                                       .deadline = *job.deadline,
                                       .attempt = job.attempt,
                                       .run_limit_s = static_cast<int>(job.run_limit.count()),
                                       .kind = job.kind,
                                       .log_offset = *offset,
                                       .spec = {}});
        }
        response.lost = (*work)->lost;
        response.cancel = (*work)->cancel;
        for (const auto& job : response.cancel) last |= presence_[request.agent].told.insert(job).second;
        if (!response.leases.empty() || !response.lost.empty()) last = true;
    }
    auto& presence = presence_[request.agent];
    if (presence.session != request.poll.session) {
        answer(request, sessions::superseded());
        return false;
    }
    if (!last && presence.generation == generation) return true;
    answer(request, {}, std::move(response));
    return false;
}

void Server::write(const Request& request) {
    const jobs::Holder holder{request.agent, request.epoch};
    const auto finish = [&](const auto& done, auto accepted) {
        if (!done) return;
        if (!*done) return answer(request, done->error());
        accepted();
        answer(request);
    };
    const auto note = [&](std::string_view what) {
        return [&, what] { checker_.accepted(request.job, request.epoch, request.agent, what); };
    };
    switch (request.kind) {
    case Request::Kind::start:
        return finish(change([&](ims::Change& c) { return jobs::start(c, request.job, holder); }), note("start"));
    case Request::Kind::renew:
        return finish(change([&](ims::Change& c) { return jobs::renew(c, request.job, holder, kLease); }),
                      note("renewal"));
    case Request::Kind::steps:
        return finish(
            change([&](ims::Change& c) { return jobs::report_steps(c, request.job, holder, request.steps); }),
            note("step"));
    case Request::Kind::logs: {
        const auto held = jobs::held(*db_, request.job, holder);
        if (!held) return answer(request, held.error());
        const auto done =
            ims::log_streams::append(*logs_, request.job, request.epoch, request.offset, request.lines);
        if (!done) return answer(request, done.error());
        if (done->accepted) note("log")();
        answer(request);
        outgoing_.back().accepted = done->accepted;
        outgoing_.back().expected_offset = done->size;
        return;
    }
    case Request::Kind::complete: {
        // The job has ended when the change is committed, so that is when the checker looks at the completion.
        const auto before = jobs::get(*db_, request.job);
        const auto body = json::to_text(request.completion);
        const auto done = change([&](ims::Change& c) -> Result<void> {
            CONSIGN_CHECK(jobs::complete(c, request.job, holder, request.completion));
            checker_.completed(request.job, request.epoch, request.agent, body);
            return {};
        });
        return finish(done, [] {});
    }
    case Request::Kind::poll:
        break;
    }
}

void Server::tick() {
    (void)change([](ims::Change& change) -> Result<void> {
        CONSIGN_CHECK(jobs::expire(change));
        CONSIGN_CHECK(jobs::end_pauses(change));
        CONSIGN_CHECK(jobs::enforce_limits(change));
        CONSIGN_CHECK(ims::schedules::tick(change));
        return {};
    });
    if (!up_) return;
    const auto now = clock_.now();
    std::vector<Parked> over;
    std::erase_if(parked_, [&](const Parked& parked) {
        if (parked.until > now) return false;
        over.push_back(parked);
        return true;
    });
    for (const auto& parked : over)
        if (up_) (void)look_for_work(parked.request, parked.generation, true);
}

void Server::apply(const ims::Effects& effects) {
    for (const auto& [pool, count] : effects.wake) {
        if (!up_) return;
        look_again([&](const Parked& parked) {
            const auto known = agent(parked.request.agent);
            return known && known->pool == pool && !known->draining && parked.request.poll.slots > 0;
        }, count);
    }
    for (const auto& id : effects.tell)
        if (up_) look_again([&](const Parked& parked) { return parked.request.agent == id; }, 1000);
}

void Server::look_again(const std::function<bool(const Parked&)>& which, int at_most) {
    std::vector<Parked> woken;
    std::erase_if(parked_, [&](const Parked& parked) {
        if (static_cast<int>(woken.size()) >= at_most || !which(parked)) return false;
        woken.push_back(parked);
        return true;
    });
    for (const auto& parked : woken) {
        if (!up_) return;
        if (look_for_work(parked.request, parked.generation, false) && up_) parked_.push_back(parked);
    }
}

std::string Server::log_of(const JobId& job) {
    const auto page = ims::log_streams::read(*logs_, job, 0, 1u << 24);
    return page ? page->data : "";
}

std::string Server::queue() {
    std::string out;
    const auto found = jobs::find(*db_, "state='queued' ORDER BY id", {});
    if (found)
        for (const auto& job : *found)
            out += std::format("{} {} of {} since {} not before {}; ", job.id.str(), json::name_of(job.kind),
                               job.install.str(), to_rfc3339(job.since), to_rfc3339(job.not_before));
    return out;
}

void Server::check_parked() {
    for (const auto& parked : parked_) {
        const auto known = agent(parked.request.agent);
        if (!known || known->draining || parked.request.poll.slots <= 0) continue;
        if (presence_[parked.request.agent].generation != parked.generation) continue;
        const auto missed = jobs::claimable(*db_,
                                            {.agent = parked.request.agent,
                                             .session = parked.request.poll.session,
                                             .pool = known->pool,
                                             .kinds = known->kinds});
        if (missed && *missed)
            throw Violation("work waits for " + parked.request.agent.str() + ", whose poll is parked: " + queue());
    }
}

} // namespace simulation
