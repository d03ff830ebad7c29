#pragma once
#include "agent/ims_link.hpp"
#include "agent/journal.hpp"
#include "agent/outbox.hpp"
#include <thread>

namespace consign::agent {

/// What every run of a process shares. All of it outlives the runs.
struct RunEnvironment {
    net::IoThread& io;
    net::Client& http;
    ImsLink& ims;
    Journal& journal;
    const JobHandlers& handlers;
    std::filesystem::path data;
    protocol::AgentKind kind = protocol::AgentKind::install;
};

/// One attempt of one job: start → the handler on a thread of its own, its log and steps shipped meanwhile →
/// complete. Everything but the handler happens on the I/O thread, and so do calls to this class.
class JobRun {
  public:
    JobRun(RunEnvironment& environment, protocol::Lease lease);
    ~JobRun();

    const protocol::Lease& lease() const { return lease_; }
    bool is_ours() const { return !lost_; }

    /// The whole attempt. Returns when the thread has ended and nothing of it is left to do or to send.
    net::Async<void> drive();

    /// The lease is somebody else's: stop the work, write nothing more.
    void lose();
    /// The vendor wants it to end.
    void cancel();
    /// The process ends: stop the work. Requests are repeated until `give_up` and no longer.
    void shut_down(net::SteadyTime give_up);
    /// The grace is over: give the lease back while the handler still winds down.
    void give_back();

  private:
    friend class RunContext;
    enum class Ask { unless_stopped, to_the_end };

    net::Async<Result<void>> begin();
    net::Async<void> watch_limit();
    void work();
    net::Async<void> complete(protocol::CompleteRequest request);
    /// Repeats through outages, as long as the attempt is ours (and, unless `to_the_end`, wanted).
    using Attempt = std::function<net::Async<Result<std::string>>()>;
    net::Async<Result<std::string>> insist(Attempt attempt, Ask ask);
    net::Async<Result<std::string>> insist(Call call, Ask ask);
    net::Async<Result<std::string>> access_token();
    protocol::CompleteRequest verdict() const;
    std::string path(std::string_view what) const {
        return "/v1/jobs/" + lease_.job.str() + "/" + std::string(what);
    }

    RunEnvironment& environment_;
    const protocol::Lease lease_;
    const std::filesystem::path scratch_;
    std::stop_source stop_;
    net::Mailbox wake_; ///< the outbox has news, or the fate of the run changed
    Outbox outbox_;

    bool lost_ = false, cancel_asked_ = false, shutting_down_ = false, overdue_ = false;
    bool overran_ = false; ///< it ran into its limit
    net::SteadyTime give_up_at_ = net::SteadyTime::max();
    JobOutcome outcome_; ///< written by the thread before it closes the outbox, read after it was joined
    std::thread thread_;
};

} // namespace consign::agent
