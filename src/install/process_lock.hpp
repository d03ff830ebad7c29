#pragma once
// A lock that is as alive as the processes that inherited it: an flock on a file, which a child and all its
// descendants hold until the last of them has ended, whatever became of the agent that started them.
#include "consign/base/file.hpp"
#include <optional>
#include <sys/types.h>
#include <vector>

namespace consign::install {

/// The lock, close-on-exec; nullopt: somebody holds it.
Result<std::optional<Fd>> try_lock(const std::filesystem::path& file);
/// Processes that hold the lock, found in /proc; having the file open is not enough. We are left out, and
/// children of ours that have not yet exec'ed: those hold it for a moment only because fork copied it.
std::vector<pid_t> lock_holders(const std::filesystem::path& lock);
void signal_lock_holders(const std::filesystem::path& lock, int signal);

/// Readable once the process has ended; invalid if there is no such process.
Fd open_pidfd(pid_t pid);

} // namespace consign::install
