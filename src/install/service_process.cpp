// Why this is not base::Subprocess: a service must outlive us. It inherits a lock, and it writes its own pid
// record between fork and exec, so that an agent killed at any moment leaves no service that its successor
// does not know of.
#include "install/service_process.hpp"
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace consign::install {
namespace {

namespace fs = std::filesystem;

// Far from the low numbers that shell scripts use in redirections ("exec 3>file"), which would drop the lock.
constexpr int kLockFdFrom = 200;

enum class Stage { redirect, directory, exec };
struct Failure {
    Stage stage;
    int error;
};

/// All the child needs, made before the fork: after it, in a process that had threads, malloc may hang.
struct Plan {
    std::vector<std::string> argv, environment;
    std::vector<char*> argv_pointers, environment_pointers;
    std::string program, directory;
    std::string record, record_temporary, record_start; ///< "<boot> <release> "
    Fd input, output, lock;
};

Fd above_stdio(int fd) { return Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 3)); }

std::vector<char*> pointers(std::vector<std::string>& strings) {
    std::vector<char*> out;
    for (auto& text : strings) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
}

/// The file that execve gets. Relative entries of PATH are skipped: they would run whatever lies in the
/// release.
Result<std::string> find_program(const Command& command) {
    if (command.argv.empty() || command.argv[0].empty())
        return fail(Code::invalid_argument, "there is no program to run: the command is empty");
    const auto& name = command.argv[0];
    if (name.contains('/')) return name;
    const auto found = command.environment.find("PATH");
    const std::string path = found == command.environment.end() ? "/usr/bin:/bin" : found->second;
    for (std::size_t at = 0; at <= path.size();) {
        const auto end = std::min(path.find(':', at), path.size());
        auto candidate = path.substr(at, end - at) + "/" + name;
        struct stat status{};
        if (candidate.starts_with('/') && ::stat(candidate.c_str(), &status) == 0 &&
            S_ISREG(status.st_mode) && ::access(candidate.c_str(), X_OK) == 0)
            return candidate;
        at = end + 1;
    }
    return fail(Code::not_found, "cannot run '" + name + "': there is no such program in PATH",
                "install it, or name it by its path in the bundle ('./bin/…')");
}

Result<Plan> make_plan(const ServiceSpec& spec, const ComponentPaths& paths, Fd lock, const Fd& output) {
    Plan plan;
    CONSIGN_TRY(program, find_program(spec.command));
    plan.program = program;
    plan.argv = spec.command.argv;
    for (const auto& [name, value] : spec.command.environment) plan.environment.push_back(name + "=" + value);
    for (const auto* list : {&plan.argv, &plan.environment})
        for (const auto& text : *list)
            if (text.contains('\0'))
                return fail(Code::invalid_argument, "an argument or environment variable of '" +
                                                        plan.argv[0] + "' has a NUL byte in it");
    plan.argv_pointers = pointers(plan.argv);
    plan.environment_pointers = pointers(plan.environment);
    plan.directory = spec.command.directory.string();
    plan.record = paths.service_record().string();
    plan.record_temporary = plan.record + ".new";
    plan.record_start = boot_id() + " " + spec.release + " ";

    CONSIGN_TRY(null, open_file("/dev/null", O_RDONLY));
    plan.input = above_stdio(null.get());
    plan.output = above_stdio(output.get());
    plan.lock = Fd(::fcntl(lock.get(), F_DUPFD_CLOEXEC, kLockFdFrom));
    if (!plan.lock) plan.lock = above_stdio(lock.get()); // RLIMIT_NOFILE is very low
    if (!plan.input || !plan.output || !plan.lock)
        return fail_errno("cannot start '" + plan.argv[0] + "': no file descriptor is left", errno);
    return plan;
}

// From here to start_service(): only async-signal-safe calls, for they run in the child.

std::size_t put_number(char* out, std::uint64_t number) {
    char digits[20];
    std::size_t count = 0;
    do digits[count++] = static_cast<char>('0' + number % 10);
    while ((number /= 10) != 0);
    for (std::size_t i = 0; i < count; ++i) out[i] = digits[count - 1 - i];
    return count;
}

/// Field 22 of /proc/self/stat; 0 if it cannot be read.
std::uint64_t own_start_ticks() {
    char text[1024];
    const int fd = ::open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    const auto size = ::read(fd, text, sizeof text);
    ::close(fd);
    ssize_t at = size - 1;
    while (at >= 0 && text[at] != ')') --at;
    // The ')' closes field 2; a space stands before each of the following fields.
    for (int field = 2; at >= 0 && at < size && field < 22; ++field)
        for (++at; at < size && text[at] != ' '; ++at) {
        }
    std::uint64_t ticks = 0;
    for (++at; at > 0 && at < size && text[at] >= '0' && text[at] <= '9'; ++at)
        ticks = ticks * 10 + static_cast<std::uint64_t>(text[at] - '0');
    return ticks;
}

/// Not fsynced: it is about a process, and no process survives the loss of what the kernel holds in memory.
/// A failure is let pass. On a full disk it is better that the service runs without a record: its lock still
/// keeps it from being doubled, and the next agent will restart it instead of adopting it.
void write_record(const Plan& plan) {
    const int fd = ::open(plan.record_temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return;
    char numbers[64];
    auto size = put_number(numbers, static_cast<std::uint64_t>(::getpid()));
    numbers[size++] = ' ';
    size += put_number(numbers + size, own_start_ticks());
    numbers[size++] = '\n';
    const auto start_size = static_cast<ssize_t>(plan.record_start.size());
    const bool written = ::write(fd, plan.record_start.data(), plan.record_start.size()) == start_size &&
                         ::write(fd, numbers, size) == static_cast<ssize_t>(size);
    ::close(fd);
    if (written) ::rename(plan.record_temporary.c_str(), plan.record.c_str());
}

[[noreturn]] void become(const Plan& plan, int report) {
    const auto give_up = [report](Stage stage, int error) {
        const Failure failure{stage, error};
        [[maybe_unused]] const auto written = ::write(report, &failure, sizeof failure);
        ::_exit(127);
    };
    ::setsid(); // its own group, and no terminal whose hang-up would end it
    struct sigaction standard{};
    standard.sa_handler = SIG_DFL;
    for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &standard, nullptr);
    if (::dup2(plan.input.get(), STDIN_FILENO) < 0 || ::dup2(plan.output.get(), STDOUT_FILENO) < 0 ||
        ::dup2(plan.output.get(), STDERR_FILENO) < 0)
        give_up(Stage::redirect, errno);
    ::close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
    ::fcntl(plan.lock.get(), F_SETFD, 0);
    write_record(plan);
    if (::chdir(plan.directory.c_str()) != 0) give_up(Stage::directory, errno);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::execve(plan.program.c_str(), plan.argv_pointers.data(), plan.environment_pointers.data());
    give_up(Stage::exec, errno);
    ::_exit(127); // not reached
}

std::unexpected<Error> explain(const ServiceSpec& spec, const Failure& failure) {
    const auto& program = spec.command.argv[0];
    const auto start = "cannot run '" + program + "'";
    switch (failure.stage) {
    case Stage::redirect:
        return fail_errno(start + ": cannot redirect its output", failure.error);
    case Stage::directory:
        return fail_errno(start + ": cannot enter its directory '" + spec.command.directory.string() + "'",
                          failure.error);
    case Stage::exec:
        break;
    }
    if (failure.error == ENOENT) {
        std::error_code ignored;
        if (fs::exists(spec.command.directory / program, ignored))
            return fail(Code::not_found, start + ": the file is there, but not the interpreter it asks for",
                        "check its first line ('#!…') or the libc it was linked for");
        return fail(Code::not_found, start + ": the bundle has no such file");
    }
    if (failure.error == EACCES)
        return fail(Code::permission_denied, start + ": it may not be executed",
                    "run chmod +x on it in the component's source");
    if (failure.error == ENOEXEC)
        return fail(Code::permission_denied, start + ": it is not a program this machine can execute",
                    "a script needs a first line like '#!/bin/sh'; a binary must be built for this CPU");
    return fail_errno(start, failure.error);
}

} // namespace

Result<pid_t> start_service(const ServiceSpec& spec, const ComponentPaths& paths, Fd lock, const Fd& output) {
    CONSIGN_TRY(plan, make_plan(spec, paths, std::move(lock), output));
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("cannot make a pipe", errno);
    const Fd report(ends[0]);
    Fd low_write_end(ends[1]);
    Fd write_end = above_stdio(ends[1]); // dup2 to 0, 1 and 2 must not hit it
    low_write_end.reset();
    if (!write_end) return fail_errno("cannot make a pipe", errno);

    // The record of the one before must not be taken for this one's. We hold the lock: nothing of it lives.
    ::unlink(paths.service_record().c_str());

    sigset_t all, before; // blocked around the fork, so that no handler of this process runs in the child
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t pid = ::fork();
    if (pid == 0) become(plan, write_end.get());
    const int fork_error = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (pid < 0) return fail_errno("cannot start '" + spec.command.argv[0] + "'", fork_error);

    write_end.reset();
    Failure failure{};
    ssize_t got = 0;
    do got = ::read(report.get(), &failure, sizeof failure);
    while (got < 0 && errno == EINTR);
    if (got != sizeof failure) return pid;
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return explain(spec, failure);
}

} // namespace consign::install
