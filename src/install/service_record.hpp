#pragma once
// How a service is known again by an agent that did not start it. Two marks, because each alone has a hole:
//
//   service.lock  an flock that the service inherits and holds with all its descendants. The kernel drops it
//   with the
//                 last of them, so "held" means "something of this service lives", even if nothing was
//                 written down.
//   service.pid   "<boot> <release> <pid> <start>", written by the service's own process between fork and
//   exec. There
//                 is no moment at which the service runs and its record does not exist. It also finds a
//                 service that closed the inherited descriptor.
//
// A pid may be used again; pid, start time (/proc/<pid>/stat, field 22) and boot together may not.
#include "consign/base/file.hpp"
#include "install/paths.hpp"
#include <optional>
#include <string>
#include <vector>

namespace consign::install {

struct ServiceRecord {
    std::string boot, release;
    pid_t pid = -1;
    std::uint64_t start_ticks = 0; ///< clock ticks since boot
};

std::optional<ServiceRecord> read_service_record(const ComponentPaths& paths);
/// Whether that very process lives; a zombie does not.
bool is_alive(const ServiceRecord& record);
std::optional<std::uint64_t> start_ticks_of(pid_t pid); ///< nullopt: no such process, or a zombie
const std::string& boot_id();

/// The lock, close-on-exec; nullopt: somebody holds it.
Result<std::optional<Fd>> try_service_lock(const ComponentPaths& paths);
/// Processes that hold the lock, found in /proc; having the file open is not enough. We are left out, and
/// children of ours that have not yet exec'ed: those hold it for a moment only because fork copied it.
std::vector<pid_t> lock_holders(const ComponentPaths& paths);
void signal_lock_holders(const ComponentPaths& paths, int signal);

/// Readable once the process has ended; invalid if there is no such process.
Fd open_pidfd(pid_t pid);

} // namespace consign::install
