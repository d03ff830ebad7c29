#pragma once
// How a service is known again by an agent that did not start it. Two marks, because each alone has a hole:
//
//   service.lock  a process_lock.hpp that the service inherits: "held" means "something of this service
//                 lives", even if nothing was written down.
//   service.pid   "<boot> <release> <pid> <start>", written by the service's own process between fork and
//   exec. There
//                 is no moment at which the service runs and its record does not exist. It also finds a
//                 service that closed the inherited descriptor.
//
// A pid may be used again; pid, start time (/proc/<pid>/stat, field 22) and boot together may not.
#include "consign/base/file.hpp"
#include "install/paths.hpp"
#include "install/process_lock.hpp"
#include <optional>
#include <string>

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

} // namespace consign::install
