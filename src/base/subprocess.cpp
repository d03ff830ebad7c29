#include "consign/base/subprocess.hpp"
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace consign {
namespace {

using Steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr milliseconds kForever = std::chrono::hours(24 * 365 * 10); // far, and safe to add to a time

milliseconds left_until(Steady::time_point deadline) {
    return std::max(std::chrono::ceil<milliseconds>(deadline - Steady::now()), milliseconds(0));
}
int poll_timeout(Steady::time_point deadline) { // poll() takes an int; the callers loop
    return static_cast<int>(std::min<milliseconds>(left_until(deadline), std::chrono::hours(1)).count());
}

std::string path_of(const Command& command) {
    if (const auto found = command.environment.find("PATH"); found != command.environment.end())
        return found->second;
    const char* inherited = std::getenv("PATH");
    return inherited ? inherited : kDefaultPath;
}

/// The files to try, in order. Relative and empty entries of PATH are skipped: they would run whatever
/// lies in the working directory, which often is somebody's source tree.
std::vector<std::string> candidates(const Command& command) {
    const std::string& program = command.argv[0];
    if (program.contains('/')) return {program};
    std::vector<std::string> out;
    const std::string path = path_of(command);
    for (std::size_t at = 0; at <= path.size();) {
        const auto end = std::min(path.find(':', at), path.size());
        if (path[at] == '/') out.push_back(path.substr(at, end - at) + "/" + program);
        at = end + 1;
    }
    return out;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
    std::vector<char*> out;
    for (auto& text : strings) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
}

/// A copy of `fd` that the child's dup2 to 0, 1 and 2 cannot hit.
Fd above_stdio(int fd) { return Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 3)); }

struct Pipe {
    Fd read_end, write_end;
};
Result<Pipe> make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("cannot make a pipe", errno);
    Pipe raw{Fd(ends[0]), Fd(ends[1])};
    Pipe out{above_stdio(ends[0]), above_stdio(ends[1])};
    if (!out.read_end || !out.write_end) return fail_errno("cannot make a pipe", errno);
    return out;
}

enum class Stage { redirect, directory, exec };
/// What a child that could not exec tells its parent; nothing comes when exec worked (CLOEXEC).
struct Failure {
    Stage stage;
    int error;
};

/// All the child needs, made before the fork: after it, in a process that had threads, malloc may hang.
struct Plan {
    std::vector<std::string> argv, environment, programs;
    std::vector<char*> argv_pointers, environment_pointers;
    std::string directory;
    Fd input, output, held_open;
};

// Far from the low numbers that shell scripts use in redirections ("exec 3>file"), which would close it.
constexpr int kHeldOpenFrom = 200;

Result<Plan> make_plan(const Command& command) {
    if (command.argv.empty() || command.argv[0].empty())
        return fail(Code::invalid_argument, "there is no program to run: the command is empty");
    Plan plan;
    plan.argv = command.argv;
    for (const auto& [name, value] : command.environment) {
        if (name.empty() || name.contains('='))
            return fail(Code::invalid_argument,
                        "'" + name + "' cannot be the name of an environment variable");
        plan.environment.push_back(name + "=" + value);
    }
    for (const auto* list : {&plan.argv, &plan.environment})
        for (const auto& text : *list)
            if (text.contains('\0'))
                return fail(Code::invalid_argument, "an argument or environment variable of '" +
                                                        command.argv[0] + "' has a NUL byte in it");
    plan.programs = candidates(command);
    plan.directory = command.directory.empty() ? "." : command.directory.string();
    plan.argv_pointers = pointers(plan.argv);
    plan.environment_pointers = pointers(plan.environment);
    CONSIGN_TRY(null, open_file("/dev/null", O_RDONLY));
    plan.input = above_stdio(null.get());
    if (!plan.input) return fail_errno("cannot open '/dev/null'", errno);
    if (command.held_open) {
        plan.held_open = Fd(::fcntl(*command.held_open, F_DUPFD_CLOEXEC, kHeldOpenFrom));
        if (!plan.held_open) plan.held_open = above_stdio(*command.held_open); // RLIMIT_NOFILE is very low
        if (!plan.held_open) return fail_errno("cannot keep a descriptor for '" + command.argv[0] + "'", errno);
    }
    return plan;
}

/// Like execvp: a file that may not be executed is passed over, but remembered as the reason.
int exec_first(const Plan& plan) {
    int reason = ENOENT;
    for (const auto& program : plan.programs) {
        ::execve(program.c_str(), plan.argv_pointers.data(), plan.environment_pointers.data());
        if (errno == EACCES)
            reason = EACCES;
        else if (errno != ENOENT && errno != ENOTDIR)
            return errno;
    }
    return reason;
}

/// Runs in the child: only async-signal-safe calls from here to exec. All signals are still blocked.
[[noreturn]] void become(const Plan& plan, int report) {
    const auto give_up = [report](Stage stage, int error) {
        const Failure failure{stage, error};
        [[maybe_unused]] const auto written = ::write(report, &failure, sizeof failure);
        ::_exit(127);
    };
    ::setpgid(0, 0);
    struct sigaction standard{};
    standard.sa_handler = SIG_DFL;
    for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &standard, nullptr);
    if (::dup2(plan.input.get(), STDIN_FILENO) < 0 || ::dup2(plan.output.get(), STDOUT_FILENO) < 0 ||
        ::dup2(plan.output.get(), STDERR_FILENO) < 0)
        give_up(Stage::redirect, errno);
    ::close_range(3, ~0u, CLOSE_RANGE_CLOEXEC); // for descriptors of libraries that forget O_CLOEXEC
    if (plan.held_open) ::fcntl(plan.held_open.get(), F_SETFD, 0);
    if (::chdir(plan.directory.c_str()) != 0) give_up(Stage::directory, errno);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    give_up(Stage::exec, exec_first(plan));
    ::_exit(127); // not reached
}

std::unexpected<Error> explain(const Command& command, const Failure& failure) {
    const std::string& program = command.argv[0];
    const std::string start = "cannot run '" + program + "'";
    if (failure.stage == Stage::directory)
        return fail_errno(start + ": cannot enter its directory '" + command.directory.string() + "'",
                          failure.error);
    if (failure.stage == Stage::redirect)
        return fail_errno(start + ": cannot redirect its output", failure.error);
    switch (failure.error) {
    case ENOENT:
        if (!program.contains('/'))
            return fail(Code::not_found, start + ": there is no such program in PATH",
                        "install it, or add its directory to PATH");
        if (std::error_code ignored; std::filesystem::exists(command.directory / program, ignored))
            return fail(Code::not_found, start + ": the file is there, but not the interpreter it asks for",
                        "check its first line ('#!…') or the libc it was linked for");
        return fail(Code::not_found, start + ": there is no such file");
    case EACCES:
        return fail(Code::permission_denied, start + ": it may not be executed", "run chmod +x on it");
    case ENOEXEC:
        return fail(Code::permission_denied, start + ": it is not a program this machine can execute",
                    "a script needs a first line like '#!/bin/sh'; a binary must be built for this CPU");
    case E2BIG:
        return fail(Code::too_large, start + ": its arguments and environment are too long");
    default:
        return fail_errno(start, failure.error);
    }
}

ExitStatus status_of(int raw) {
    if (WIFSIGNALED(raw)) return {.code = 0, .signal = WTERMSIG(raw)};
    return {.code = WEXITSTATUS(raw), .signal = 0};
}

/// Readable once the process has ended. By number: <sys/pidfd.h> of glibc 2.36 lacks its extern "C".
Fd open_pidfd(pid_t pid) { return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))); }

/// nullopt: somebody else took the status, or SIGCHLD is ignored in this process.
std::optional<int> reap(pid_t pid) {
    int raw = 0;
    for (;;) {
        if (::waitpid(pid, &raw, 0) == pid) return raw;
        if (errno != EINTR) return std::nullopt;
    }
}

/// Waits for the end without reaping: while the leader is a zombie its group's number cannot be reused.
bool ended_by(pid_t pid, Steady::time_point deadline) {
    const Fd watch = open_pidfd(pid);
    for (;;) {
        siginfo_t info{};
        if (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0 &&
            errno == ECHILD)
            return true;
        if (info.si_pid == pid) return true;
        if (Steady::now() >= deadline) return false;
        pollfd fd{watch.get(), POLLIN, 0};
        // Out of descriptors there is no pidfd, and poll() only sleeps: look again every 10 ms.
        ::poll(&fd, 1, watch ? poll_timeout(deadline) : std::min(poll_timeout(deadline), 10));
    }
}

} // namespace

std::string ExitStatus::describe() const {
    if (signal == 0) return "exit code " + std::to_string(code);
    const char* name = ::sigdescr_np(signal);
    return "signal " + std::to_string(signal) + " (" + (name ? name : "unknown") + ")";
}

std::map<std::string, std::string> minimal_environment() {
    std::map<std::string, std::string> out{{"PATH", kDefaultPath}};
    for (const char* name : {"PATH", "HOME", "LANG", "TZ", "TMPDIR"})
        if (const char* value = std::getenv(name)) out[name] = value;
    return out;
}

Result<Subprocess> Subprocess::spawn(const Command& command, std::optional<int> output) {
    CONSIGN_TRY(plan, make_plan(command));
    CONSIGN_TRY(report, make_pipe());
    Fd readable;
    if (output) {
        plan.output = above_stdio(*output);
        if (!plan.output) return fail_errno("cannot redirect the output of '" + command.argv[0] + "'", errno);
    } else {
        CONSIGN_TRY(pipe, make_pipe());
        readable = std::move(pipe.read_end);
        plan.output = std::move(pipe.write_end);
    }

    // Blocked around the fork, so that no handler of this process runs in the child.
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t pid = ::fork();
    if (pid == 0) become(plan, report.write_end.get());
    const int fork_error = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (pid < 0) return fail_errno("cannot start '" + command.argv[0] + "'", fork_error);

    ::setpgid(pid, pid); // in both: whoever comes first, the group exists before it is signalled
    report.write_end.reset();
    Failure failure{};
    ssize_t got = 0;
    do got = ::read(report.read_end.get(), &failure, sizeof failure);
    while (got < 0 && errno == EINTR);
    if (got != sizeof failure) return Subprocess(pid, std::move(readable));
    reap(pid);
    return explain(command, failure);
}

Subprocess::Subprocess(Subprocess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), output_(std::move(other.output_)),
      status_(std::exchange(other.status_, std::nullopt)) {}

Subprocess& Subprocess::operator=(Subprocess&& other) noexcept {
    std::swap(pid_, other.pid_);
    std::swap(output_, other.output_);
    std::swap(status_, other.status_);
    return *this;
}

Subprocess::~Subprocess() {
    signal_group(SIGKILL);
    wait(kForever);
}

std::optional<ExitStatus> Subprocess::wait(milliseconds timeout) {
    if (status_ || pid_ < 0) return status_;
    if (!ended_by(pid_, Steady::now() + std::clamp(timeout, milliseconds(0), kForever))) return std::nullopt;
    signal_group(SIGKILL);
    const auto raw = reap(pid_);
    status_ = raw ? status_of(*raw) : ExitStatus{.code = -1, .signal = 0};
    return status_;
}

void Subprocess::signal_group(int signal) {
    if (pid_ > 0 && !status_) ::kill(-pid_, signal);
}

pid_t Subprocess::release() { return std::exchange(pid_, -1); }

namespace {

using OnOutput = std::function<void(std::string_view)>;

enum class Piece { some, none_now, end };

Piece pass_on(int fd, const OnOutput& on_output, std::size_t limit_bytes, std::size_t& passed) {
    char buffer[16 << 10];
    const auto got = ::read(fd, buffer, std::min(sizeof buffer, limit_bytes));
    if (got < 0) return errno == EAGAIN || errno == EINTR ? Piece::none_now : Piece::end;
    if (got == 0) return Piece::end;
    passed += static_cast<std::size_t>(got);
    if (on_output) on_output({buffer, static_cast<std::size_t>(got)});
    return Piece::some;
}

/// What the child wrote before it ended is at most a full pipe. A stranger that left the group and still
/// writes to it must not keep us here.
void drain(int fd, const OnOutput& on_output) {
    const auto capacity = static_cast<std::size_t>(std::max(::fcntl(fd, F_GETPIPE_SZ), 64 << 10));
    std::size_t passed = 0;
    while (passed < capacity && pass_on(fd, on_output, capacity - passed, passed) == Piece::some) {
    }
}

enum class Why { ended, cancelled, timed_out };

/// Until the leader has ended; on stop or timeout until the rest of the group let go of the pipe as well,
/// because a wrapper script dies of SIGTERM at once while the program in it still cleans up.
Why supervise(Subprocess& child, int ended, int stopped, const OnOutput& on_output, const RunLimits& limits) {
    Why why = Why::ended;
    int output = child.output_fd();
    bool leader_ended = false;
    bool killed = false;
    auto deadline = Steady::now() + std::clamp(limits.timeout, milliseconds(0), kForever);
    for (;;) {
        pollfd fds[] = {{output, POLLIN, 0},
                        {leader_ended ? -1 : ended, POLLIN, 0},
                        {why == Why::ended ? stopped : -1, POLLIN, 0}};
        if (::poll(fds, 3, poll_timeout(deadline)) < 0) continue; // EINTR
        std::size_t passed = 0;
        if (fds[0].revents != 0 && pass_on(output, on_output, SIZE_MAX, passed) == Piece::end) output = -1;
        leader_ended = leader_ended || fds[1].revents != 0;
        if (leader_ended && (why == Why::ended || output < 0 || killed)) return why;
        const bool late = Steady::now() >= deadline;
        if (why == Why::ended && (fds[2].revents != 0 || late)) {
            why = fds[2].revents != 0 ? Why::cancelled : Why::timed_out;
            child.signal_group(SIGTERM);
            deadline = Steady::now() + std::clamp(limits.grace, milliseconds(0), kForever);
        } else if (late) {
            child.signal_group(SIGKILL);
            if (leader_ended) return why;
            killed = true;
            deadline = Steady::now() + kForever;
        }
    }
}

} // namespace

Result<ExitStatus> run(const Command& command, const OnOutput& on_output, std::stop_token stop,
                       RunLimits limits) {
    const std::string name = command.argv.empty() ? "" : "'" + command.argv[0] + "'";
    if (stop.stop_requested()) return fail(Code::cancelled, name + " was cancelled before it started");
    const Fd stopped(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!stopped) return fail_errno("cannot watch " + name, errno);
    CONSIGN_TRY(child, Subprocess::spawn(command));
    const Fd ended = open_pidfd(child.pid());
    if (!ended) return fail_errno("cannot watch " + name, errno);
    ::fcntl(child.output_fd(), F_SETFL, O_NONBLOCK); // our end only: the child's still blocks

    const std::stop_callback on_stop(stop, [fd = stopped.get()] { ::eventfd_write(fd, 1); });
    const Why why = supervise(child, ended.get(), stopped.get(), on_output, limits);
    const auto status = child.wait(kForever); // kills what is left of the group
    drain(child.output_fd(), on_output);
    switch (why) {
    case Why::cancelled:
        return fail(Code::cancelled, name + " was cancelled and ended with " + status->describe());
    case Why::timed_out:
        return fail(Code::timed_out,
                    name + " did not finish within " + std::to_string(limits.timeout.count()) + " ms");
    case Why::ended:
        break;
    }
    return *status;
}

} // namespace consign
