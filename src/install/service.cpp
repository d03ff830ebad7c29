#include "install/service.hpp"
#include "consign/base/log.hpp"
#include <algorithm>
#include <csignal>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace consign::install {
namespace {

using namespace std::chrono_literals;

// A stop needs no notice of "the last descendant let go of the lock": there is none. It is looked for this
// often, and only while a service is being stopped.
constexpr auto kLook = 20ms, kLookAfterKill = 250ms;
constexpr auto kRotationInterval = 10s;
constexpr auto kNever = Steady::time_point::max();

bool readable(int fd) {
    pollfd poll_fd{fd, POLLIN, 0};
    return ::poll(&poll_fd, 1, 0) > 0;
}

/// By pidfd, not by number: an adopted service is not our child (false then), and once init has reaped it its
/// number may belong to a child that is.
bool wait_for_end(const Fd& pidfd, siginfo_t& info, int options) {
    int result = -1;
    do result = pidfd ? ::waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &info, WEXITED | options) : -1;
    while (result != 0 && pidfd && errno == EINTR);
    return result == 0;
}

} // namespace

std::chrono::milliseconds restart_delay(const SupervisorOptions& options, int failures) {
    auto delay = options.first_restart;
    for (int i = 1; i < failures && delay < options.longest_restart; ++i) delay *= 2;
    return std::min(delay, options.longest_restart);
}

Service::Service(std::string component, ComponentPaths paths, SupervisorOptions options)
    : component_(std::move(component)), paths_(std::move(paths)), options_(options) {}

void Service::want(std::optional<ServiceSpec> spec) {
    const bool same = spec && phase_ == Phase::running && release_ == spec->release;
    wanted_ = std::move(spec);
    attempted_ = same;
    start_error_.reset();
    if (same) return;
    failures_ = exits_ = 0;
    last_exit_.clear();
    crashed_ = false; // a stop that is going on ends in idle, not in a pause
    if (phase_ == Phase::backing_off) phase_ = Phase::idle;
}

bool Service::settled() const { return wanted_ ? attempted_ : phase_ == Phase::idle; }

int Service::watch_fd() const {
    // An ended leader stays readable until it is reaped: while stopping, time is what drives.
    return phase_ == Phase::running || (phase_ == Phase::stopping && !asked_the_rest_) ? pidfd_.get() : -1;
}

ServiceStatus Service::status() const {
    const bool running = phase_ == Phase::running;
    return {.running = running,
            .pid = running ? pid_ : -1,
            .release = running ? release_ : "",
            .since = since_,
            .exits = exits_,
            .last_exit = last_exit_};
}

Steady::time_point Service::step(Steady::time_point now) {
    for (;;) {
        const auto before = phase_;
        const auto next = advance(now);
        if (phase_ == before) return next;
    }
}

Steady::time_point Service::advance(Steady::time_point now) {
    switch (phase_) {
    case Phase::unknown:
        inspect(now);
        return kNever;
    case Phase::idle:
        if (wanted_) start(now);
        return kNever;
    case Phase::running:
        return watch_running(now);
    case Phase::stopping:
        return continue_stopping(now);
    case Phase::backing_off:
        if (!wanted_)
            phase_ = Phase::idle;
        else if (now >= due_)
            start(now);
        return due_;
    }
    return kNever;
}

/// What did an agent before us leave running?
void Service::inspect(Steady::time_point now) {
    phase_ = Phase::idle;
    std::error_code ignored;
    if (!std::filesystem::exists(paths_.home, ignored)) return;
    if (const auto record = read_service_record(paths_); record && is_alive(*record)) {
        Fd pidfd = open_pidfd(record->pid);
        if (pidfd && is_alive(*record)) { // asked again: now the number cannot change hands unseen
            started(now, record->pid, std::move(pidfd), record->release);
            log::info("adopted a running service", {{"component", component_}, {"pid", pid_}});
            return;
        }
    }
    if (const auto lock = try_lock(paths_.service_lock()); lock && !*lock) begin_stopping(now, false);
}

void Service::start(Steady::time_point now) {
    auto lock = try_lock(paths_.service_lock());
    if (!lock) return failed_to_start(now, lock.error());
    if (!*lock) return begin_stopping(now, false); // something of it lives still, or again
    auto output = open_service_log(paths_.service_log(), options_.log_limit_bytes);
    if (!output) return failed_to_start(now, output.error());
    const auto pid = start_service(*wanted_, paths_, std::move(**lock), *output);
    if (!pid) return failed_to_start(now, pid.error());
    started(now, *pid, open_pidfd(*pid), wanted_->release);
    log::info("started a service", {{"component", component_}, {"release", release_}, {"pid", pid_}});
}

void Service::started(Steady::time_point now, pid_t pid, Fd pidfd, std::string release) {
    phase_ = Phase::running;
    pid_ = pid;
    pidfd_ = std::move(pidfd);
    release_ = std::move(release);
    since_ = now;
    next_rotation_ = now + kRotationInterval;
    asked_the_rest_ = false;
    if (wanted_ && wanted_->release == release_) {
        attempted_ = true;
        start_error_.reset();
    }
}

void Service::failed_to_start(Steady::time_point now, Error error) {
    ++failures_;
    ++exits_;
    last_exit_ = error.message;
    due_ = now + restart_delay(options_, failures_);
    log::warn("cannot start a service", {{"component", component_}, {"error", to_string(error)}});
    start_error_ = std::move(error);
    attempted_ = true;
    phase_ = Phase::backing_off;
}

Steady::time_point Service::watch_running(Steady::time_point now) {
    if (!wanted_ || wanted_->release != release_) {
        begin_stopping(now, false);
        return now;
    }
    if (leader_ended()) {
        ++failures_;
        ++exits_;
        last_exit_ = peek_exit();
        log::warn("a service ended by itself",
                  {{"component", component_}, {"release", release_}, {"how", last_exit_}, {"exits", exits_}});
        begin_stopping(now, true);
        return now;
    }
    if (now - since_ >= options_.healthy_after) failures_ = 0;
    if (now >= next_rotation_) {
        next_rotation_ = now + kRotationInterval;
        if (auto rotated = rotate_service_log(paths_.service_log(), options_.log_limit_bytes); !rotated)
            log::warn("cannot bound a service's log",
                      {{"component", component_}, {"error", to_string(rotated.error())}});
    }
    return next_rotation_;
}

bool Service::leader_ended() const {
    if (pid_ < 0) return true;
    return pidfd_ ? readable(pidfd_.get()) : !start_ticks_of(pid_).has_value();
}

/// Without reaping: as long as the zombie is there, its number and its group's are not given to anybody else.
std::string Service::peek_exit() const {
    siginfo_t info{};
    if (!wait_for_end(pidfd_, info, WNOHANG | WNOWAIT) || info.si_pid != pid_)
        return "exit status unknown (an earlier agent started it)";
    const bool signalled = info.si_code != CLD_EXITED;
    return ExitStatus{.code = signalled ? 0 : info.si_status, .signal = signalled ? info.si_status : 0}
        .describe();
}

void Service::begin_stopping(Steady::time_point now, bool crashed) {
    phase_ = Phase::stopping;
    crashed_ = crashed;
    asked_the_rest_ = false;
    due_ = now + options_.grace;
    if (pid_ > 0) ::kill(-pid_, SIGTERM);
}

void Service::signal_all(int signal) {
    if (pid_ > 0) ::kill(-pid_, signal);
    signal_lock_holders(paths_.service_lock(), signal);
}

/// Over when the leader has ended and nobody holds the lock. A wrapper script dies of SIGTERM at once while
/// the program in it still cleans up; so what the leader leaves behind is asked as well, and has the rest of
/// the grace.
Steady::time_point Service::continue_stopping(Steady::time_point now) {
    const bool late = now >= due_;
    const bool ended = leader_ended();
    if (late) signal_all(SIGKILL);
    if (!ended) return late ? now + kLookAfterKill : due_;

    const auto lock = try_lock(paths_.service_lock());
    if (lock && !*lock) {
        if (!asked_the_rest_ && !late) signal_all(SIGTERM);
        asked_the_rest_ = true;
        return now + (late ? kLookAfterKill : kLook);
    }
    if (pid_ > 0) {
        ::kill(-pid_, SIGKILL); // members that closed the lock; the unreaped leader keeps the number ours
        siginfo_t info{};
        wait_for_end(pidfd_, info, 0);
    }
    pid_ = -1;
    pidfd_.reset();
    ::unlink(paths_.service_record().c_str());
    if (crashed_ && wanted_) {
        due_ = now + restart_delay(options_, failures_);
        phase_ = Phase::backing_off;
    } else {
        phase_ = Phase::idle;
    }
    return now;
}

} // namespace consign::install
