#pragma once
// The command line. The client's commands live here; the three long-running modes are handed in by main,
// because this layer knows nothing of servers and agents.
#include "consign/base/error.hpp"
#include "consign/base/secret.hpp"
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>

namespace consign::cli {

struct ImsFlags {
    std::filesystem::path data;
    std::string listen = "127.0.0.1:8400";
    std::string tls_cert, tls_key;
    std::string public_url;            ///< empty: from `listen`
    std::string registry = "embedded"; ///< or a URL
    std::string registry_mode = "gateway";
    std::string registry_ca, registry_pull_role;
    bool registry_immutable_tags = false, registry_scan_on_push = false;
    int threads = 2;
    int lease_s = 45;
    std::chrono::seconds health_every = std::chrono::hours(1), drift_every = std::chrono::hours(24),
                         gc_every = std::chrono::hours(24); ///< 0: never
    int registry_quota_mib = 0, registry_repository_quota_mib = 0, registry_free_floor_mib = 0; ///< 0: none
};
struct BuildAgentFlags {
    std::string ims;
    Secret<std::string> enroll;
    std::filesystem::path data;
    int slots = 2;
    bool once = false;
    std::string ca_file;
};
/// `consign build-agent build APP[/COMPONENT]`: build here and now, with a user's or CI's token.
struct BuildHereFlags {
    std::string ims;
    Secret<std::string> token;
    std::string target;
    std::filesystem::path source = ".";
    std::string ca_file;
    bool json = false;
};
struct InstallAgentFlags {
    std::string ims;
    Secret<std::string> enroll;
    std::filesystem::path data;
    std::string registry = "embedded"; ///< or a URL
    std::string registry_ca;
    std::string registry_listen = "127.0.0.1:8500";
    int slots = 2;
    std::string ca_file;
};

/// What main wires in. Each runs until it is told to stop (SIGTERM, SIGINT) and prints nothing on errors: it
/// returns them.
struct Modes {
    std::function<Result<void>(const ImsFlags&)> ims;
    std::function<Result<void>(const BuildAgentFlags&)> build_agent;
    std::function<Result<void>(const BuildHereFlags&)> build_here;
    std::function<Result<void>(const InstallAgentFlags&)> install_agent;
};

/// Parses the command line (flags beat CONSIGN_* beat --config FILE), runs the command, prints results to
/// stdout and errors to stderr, returns the exit code: 0 done, 1 failed, 2 usage, 3 not found, 4 not allowed,
/// 5 conflict, 6 unreachable, 7 the job or deploy itself failed. argv[0] named ims, build-agent or
/// install-agent runs that mode.
int run(int argc, const char* const* argv, const Modes& modes, const std::string& version);

/// Code → exit code; the only such table.
int exit_code_of(Code code);

} // namespace consign::cli
