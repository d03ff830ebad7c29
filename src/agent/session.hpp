#pragma once
#include "agent/job_run.hpp"
#include <atomic>

namespace consign::agent {

struct SessionOptions {
    int slots = 2;
    bool once = false;
    std::string version = {};
    std::vector<protocol::RunningJob> leftovers = {}; ///< what an earlier process was cut short in
    /// For running jobs when the process is told to stop. A lease lives 45 s after its last renewal, which is
    /// at most 15 s old: the grace and a few seconds for the last writes still fall inside it.
    std::chrono::milliseconds grace = std::chrono::seconds(20);
    /// Called once, after the first answered poll, on a thread that may block.
    std::function<Result<void>()> on_connected = {};
};

/// One run of an agent process as the IMS sees it: the poll loop, and the jobs that came out of it.
///
/// A parked poll is the agent's heartbeat, the way its work arrives, and the renewal of its leases, all in
/// one. It is given up and sent anew when a job ends (a slot is free now). Leases that an abandoned poll
/// carried are not in the next poll's list, so the server queues their jobs again.
///
/// A job goes on while the IMS cannot be reached, even past its lease's deadline: an IMS that was down has
/// not given the job to anybody, and takes the attempt back when it returns. Should it have moved on, it
/// refuses our epoch with the first write, and the attempt ends then. The server decides; a clock here could
/// only guess.
class Session {
  public:
    Session(RunEnvironment& environment, SessionId id, SessionOptions options);

    /// Until stop(), or a reason to end: session_superseded, unauthenticated, permission_denied, not_found.
    /// All jobs have ended when it returns. On the I/O thread.
    net::Async<Result<void>> run();
    void stop(); ///< any thread

  private:
    struct Poll; ///< one poll under way
    net::Async<Result<void>> loop();
    net::Async<void> wind_down(bool ours);
    net::Async<void> work(std::shared_ptr<JobRun> run);
    net::Async<std::shared_ptr<Poll>> poll(protocol::PollRequest request, std::uint64_t seen);
    net::Async<void> send_poll(std::shared_ptr<Poll> poll);
    net::Async<void> greet();
    net::Async<void> pause(std::chrono::milliseconds duration);
    protocol::PollRequest next_request(bool in_touch) const;
    void apply(const protocol::PollRequest& request, protocol::PollResponse& answer);
    net::Async<void> rotate();
    protocol::AgentAbilities abilities() const;
    bool older_attempt_runs(const JobRun& run) const;

    RunEnvironment& environment_;
    SessionOptions options_;
    const SessionId id_;
    net::Mailbox wake_; ///< a job ended, a poll was answered, or stop()
    std::atomic<bool> stopping_ = false;
    protocol::Cadence cadence_;
    bool rotation_pending_ = false; ///< a new key was asked for, and is not in use
    bool introduced_ = false; ///< the IMS knows what this process can do, and what an earlier one left
    std::vector<std::shared_ptr<JobRun>> runs_; ///< also those that wind down: they hold their slots
    net::TaskGroup jobs_;
};

} // namespace consign::agent
