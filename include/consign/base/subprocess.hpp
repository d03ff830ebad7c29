#pragma once
#include "consign/base/error.hpp"
#include "consign/base/file.hpp"
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <sys/types.h>
#include <vector>

namespace consign {

struct Command {
    std::vector<std::string>
        argv; ///< argv[0] with a '/' is a path (relative to `directory`), else looked up in PATH
    std::filesystem::path directory = ".";
    std::map<std::string, std::string> environment; ///< the whole environment, nothing is inherited
    /// Stays open in the child, at another and high number: a lock that it and its descendants are to hold.
    std::optional<int> held_open = std::nullopt;
};

struct ExitStatus {
    int code = 0;   ///< exit code, meaningful when signal == 0
    int signal = 0; ///< the signal that ended it, or 0
    bool ok() const { return code == 0 && signal == 0; }
    std::string describe() const; ///< "exit code 3", "signal 9 (Killed)"
};

/// PATH, HOME, LANG, TZ, TMPDIR of this process: what a child needs to find programs, and no secret.
std::map<std::string, std::string> minimal_environment();

/// A child in its own process group. stdout and stderr go to one pipe, or to `output` if that is valid.
/// Not thread-safe. The destructor kills the whole group if it still runs, and reaps the child.
class Subprocess {
  public:
    /// not_found if the program does not exist, permission_denied if it cannot be executed.
    static Result<Subprocess> spawn(const Command& command, std::optional<int> output = std::nullopt);
    Subprocess(Subprocess&&) noexcept;
    Subprocess& operator=(Subprocess&&) noexcept;
    ~Subprocess();

    pid_t pid() const { return pid_; }
    int output_fd() const { return output_.get(); } ///< read end, -1 when redirected
    /// Waits until it ends, at most `timeout`; nullopt: still running. What is left of its group is killed
    /// then: once the child is reaped, the group's number may belong to somebody else.
    std::optional<ExitStatus> wait(std::chrono::milliseconds timeout);
    void signal_group(int signal); ///< nothing once wait() has seen the end
    /// Gives up ownership: the child lives on. Redirect its output, or it dies of SIGPIPE.
    pid_t release();

  private:
    Subprocess(pid_t pid, Fd output) : pid_(pid), output_(std::move(output)) {}
    pid_t pid_ = -1;
    Fd output_;
    std::optional<ExitStatus> status_;
};

struct RunLimits {
    std::chrono::milliseconds timeout = std::chrono::hours(1);
    std::chrono::milliseconds grace = std::chrono::seconds(10); ///< SIGTERM to the group, then SIGKILL
};

/// Runs to the end, handing every piece of output to `on_output` as it comes. On stop or timeout the
/// group gets SIGTERM, after `grace` SIGKILL: `cancelled` or `timed_out`. No child of the group survives.
Result<ExitStatus> run(const Command& command, const std::function<void(std::string_view)>& on_output,
                       std::stop_token stop = {}, RunLimits limits = {});

} // namespace consign
