#pragma once
// The state machine of one supervised service. It never waits: step() does what is due and says when to come
// back.
//
//   unknown ──▶ running (adopted), stopping (another release, or holders of the lock) or idle
//   idle ──want──▶ running ──exit──▶ stopping (what is left of the group) ──▶ backing_off ──▶ running
//   running ──want another, or nothing──▶ stopping ──▶ idle
#include "install/service_log.hpp"
#include "install/service_process.hpp"

namespace consign::install {

using Steady = std::chrono::steady_clock;

struct SupervisorOptions {
    std::chrono::milliseconds grace = std::chrono::seconds(10); ///< between SIGTERM and SIGKILL
    std::chrono::milliseconds first_restart = std::chrono::seconds(1);
    std::chrono::milliseconds longest_restart = std::chrono::seconds(60);
    std::chrono::milliseconds healthy_after =
        std::chrono::seconds(60);              ///< of running: the backoff begins anew
    std::uint64_t log_limit_bytes = 10u << 20; ///< of service.log, and of service.log.1
};

/// Doubles with every failure in a row (>= 1), from first_restart to longest_restart.
std::chrono::milliseconds restart_delay(const SupervisorOptions& options, int failures);

struct ServiceStatus {
    bool running = false;
    pid_t pid = -1;
    std::string release;      ///< which one runs
    Steady::time_point since; ///< when it was started, or adopted
    int exits = 0;            ///< unasked, since this release was asked for
    std::string last_exit;    ///< "exit code 1"; or why it could not be started
};

/// Not thread-safe. The destructor leaves the service running.
class Service {
  public:
    Service(std::string component, ComponentPaths paths, SupervisorOptions options);

    /// What should run from now on; nullopt: nothing.
    void want(std::optional<ServiceSpec> spec);
    Steady::time_point step(Steady::time_point now);
    int watch_fd() const; ///< call step() when it is readable; -1: nothing to watch
    ServiceStatus status() const;
    /// Whether the last want() is carried out: started or adopted, failed to start, or nothing of it lives.
    bool settled() const;
    const std::optional<Error>& start_error() const { return start_error_; }

  private:
    enum class Phase { unknown, idle, running, stopping, backing_off };

    Steady::time_point advance(Steady::time_point now);
    void inspect(Steady::time_point now);
    void start(Steady::time_point now);
    void started(Steady::time_point now, pid_t pid, Fd pidfd, std::string release);
    void failed_to_start(Steady::time_point now, Error error);
    Steady::time_point watch_running(Steady::time_point now);
    void begin_stopping(Steady::time_point now, bool crashed);
    Steady::time_point continue_stopping(Steady::time_point now);
    void signal_all(int signal);
    bool leader_ended() const;
    std::string peek_exit() const;

    std::string component_;
    ComponentPaths paths_;
    SupervisorOptions options_;
    std::optional<ServiceSpec> wanted_;
    Phase phase_ = Phase::unknown;
    bool attempted_ = false; ///< a start was tried since the last want()
    std::optional<Error> start_error_;

    pid_t pid_ = -1; ///< the leader of its group, alive or an unreaped zombie that keeps the number ours
    Fd pidfd_;
    std::string release_;
    Steady::time_point since_, due_, next_rotation_;
    bool crashed_ = false;        ///< stopping because it ended by itself
    bool asked_the_rest_ = false; ///< stopping: SIGTERM went to what the leader left behind
    int failures_ = 0, exits_ = 0;
    std::string last_exit_;
};

} // namespace consign::install
