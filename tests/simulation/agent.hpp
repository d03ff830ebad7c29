#pragma once
// An agent process as src/agent makes one: polls, runs attempts, ships numbered log lines, completes. It crashes
// at any moment and comes back with what its journal says.
#include "messages.hpp"
#include "random.hpp"

namespace simulation {

/// What a process needs of the world around it.
class Surroundings {
  public:
    virtual ~Surroundings() = default;
    virtual Time now() const = 0;
    virtual Random& random() = 0;
    virtual void send(Request request) = 0;
    /// Calls `then` after `delay`, unless the process has ended or was restarted meanwhile.
    virtual void after(int process, Millis delay, std::function<void()> then) = 0;
    virtual void lines_stored(const JobId& job, std::int64_t epoch, int count) = 0;
};

class Process {
  public:
    Process(Surroundings& world, int number, AgentId agent, std::vector<std::string> kinds)
        : world_(world), number_(number), agent_(std::move(agent)), kinds_(std::move(kinds)) {}

    const AgentId& agent() const { return agent_; }
    bool up() const { return up_; }
    int life() const { return life_; } ///< grows with each end: what was planned before is void
    void start();
    void crash(); ///< the journal stays
    void receive(const Response& response);
    /// A stuck job ignores every request to stop, until it is let go.
    void stay_stuck(bool stuck) { stuck_ = stuck; }

  private:
    struct Attempt {
        std::int64_t epoch = 0;
        bool started = false, stopping = false, completing = false;
        int lines_to_write = 0, lines_written = 0;
        std::int64_t log_offset = 0; ///< of the first line that is not known to be stored
        std::string unsent;
        int lines_known = 0;
        protocol::CompleteRequest completion;
    };
    static constexpr int kSlots = 2;

    void poll();
    void on_poll(const Response& response);
    void on_write(const Response& response);
    void begin(const protocol::Lease& lease);
    void work(const JobId& job, std::int64_t epoch);
    void ship(const JobId& job, Attempt& attempt);
    void complete(const JobId& job, Attempt& attempt);
    /// Sends again until the answer has come or the attempt is over.
    void insist(Request request, Millis pause);
    Attempt* attempt(const JobId& job, std::int64_t epoch);
    void drop(const JobId& job);

    Surroundings& world_;
    const int number_;
    const AgentId agent_;
    const std::vector<std::string> kinds_;
    bool up_ = false, introduced_ = false, stuck_ = false;
    int life_ = 0;
    SessionId session_;
    std::uint64_t next_id_ = 1, poll_id_ = 0;
    Millis poll_backoff_{500};
    std::map<JobId, Attempt> attempts_;
    std::map<std::uint64_t, Request> unanswered_; ///< writes
    std::vector<protocol::RunningJob> journal_, leftovers_;
};

} // namespace simulation
