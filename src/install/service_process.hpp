#pragma once
#include "consign/base/subprocess.hpp"
#include "install/service_record.hpp"

namespace consign::install {

/// A process to keep running: the service of one release.
struct ServiceSpec {
    std::string
        release; ///< the release directory's name; a running service with the same one is the same service
    Command command;
};

/// Starts the service in a session (and process group) of its own: stdin is /dev/null, stdout and stderr go
/// to `output`. The new process holds `lock` and has written its record before its program begins. It is a
/// child of the caller and lives on without it. Errors as Subprocess::spawn. Any thread.
Result<pid_t> start_service(const ServiceSpec& spec, const ComponentPaths& paths, Fd lock, const Fd& output);

} // namespace consign::install
