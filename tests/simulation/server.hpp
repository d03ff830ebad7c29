#pragma once
// The real engine on a real (but not durable) SQLite file, behind a server that can die at any commit.
#include "checker.hpp"
#include "consign/base/file.hpp"
#include "ims/sessions.hpp"
#include "messages.hpp"
#include "random.hpp"
#include "store/connection.hpp"

namespace simulation {

class Server {
  public:
    Server(const std::filesystem::path& file, Random& random, const ManualClock& clock, Checker& checker);

    bool up() const { return up_; }
    void start(); ///< reads again what is stored; leases get a whole term
    void crash(); ///< what is committed stays
    /// From now on a commit may be the last thing it does, or not even happen.
    void make_fragile(int percent) { fragile_percent_ = percent; }

    /// Nothing: the poll is parked, or the server died over it.
    void handle(const Request& request);
    void tick(); ///< once a second: what maintain() does
    /// What became ready to be sent since the last call.
    std::vector<Response> take_responses() { return std::exchange(outgoing_, {}); }

    /// What a person does, through the engine: its result, or an error; `died` when nobody heard of either.
    template <class F>
    auto change(F work) -> std::optional<std::invoke_result_t<F, ims::Change&>>;
    store::Connection& store() { return *db_; } ///< to look at
    std::string log_of(const JobId& job);
    /// A parked poll that could have work and was not woken. Throws Violation.
    void check_parked();

  private:
    struct Presence {
        SessionId session;
        std::uint64_t generation = 0;
        std::set<JobId> told;
    };
    struct Parked {
        Request request;
        std::uint64_t generation = 0;
        Time until{};
    };
    struct Agent {
        ims::Pool pool;
        std::vector<protocol::JobKind> kinds;
        bool revoked = false, draining = false;
    };

    Result<Agent> agent(const AgentId& id);
    void poll(const Request& request);
    /// False: it was answered.
    bool look_for_work(const Request& request, std::uint64_t generation, bool last);
    void write(const Request& request);
    void answer(const Request& request, std::optional<Error> error = {}, protocol::PollResponse poll = {});
    void apply(const ims::Effects& effects);
    void look_again(const std::function<bool(const Parked&)>& which, int at_most);
    bool commit_or_die();
    std::string queue(); ///< for messages

    Random& random_;
    const ManualClock& clock_;
    Checker& checker_;
    std::unique_ptr<store::SqliteConnection> db_, logs_;
    bool up_ = true;
    int fragile_percent_ = 0;
    std::map<AgentId, Presence> presence_;
    std::vector<Parked> parked_;
    std::vector<Response> outgoing_;
};

template <class F>
auto Server::change(F work) -> std::optional<std::invoke_result_t<F, ims::Change&>> {
    ims::Effects effects;
    if (!db_->run("BEGIN IMMEDIATE")) throw Violation("cannot begin a transaction");
    ims::Change unit(*db_, clock_.now(), effects);
    auto result = work(unit);
    if (!result) {
        (void)db_->run("ROLLBACK");
        return result;
    }
    if (!commit_or_die()) return std::nullopt;
    for (const auto& id : effects.ended) {
        const auto job = ims::jobs::get(*db_, id);
        if (!job) throw Violation(id.str() + " ended and is not stored");
        checker_.ended(id, job->state);
    }
    if (!up_) return std::nullopt; // it died after the commit: stored, and nobody heard of it
    apply(effects);
    return result;
}

} // namespace simulation
