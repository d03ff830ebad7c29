// Wires the modes to the command line. Nothing else.
#include "consign/agent/agent.hpp"
#include "consign/base/log.hpp"
#include "consign/build/build.hpp"
#include "consign/cli/cli.hpp"
#include "consign/ims/ims.hpp"
#include "consign/install/install.hpp"
#include "consign/net/url.hpp"
#include <atomic>
#include <charconv>
#include <csignal>
#include <iostream>
#include <semaphore>
#include <thread>

namespace {

using namespace consign;

/// SIGINT and SIGTERM as a stop token. Signals are blocked in every thread (threads inherit the mask), and
/// one thread waits for them: no handler runs at an odd moment. A second signal ends the process at once.
class StopOnSignal {
  public:
    StopOnSignal() {
        sigemptyset(&signals_);
        sigaddset(&signals_, SIGINT);
        sigaddset(&signals_, SIGTERM);
        pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
        std::signal(SIGPIPE, SIG_IGN);
        waiter_ = std::thread([this] {
            int signal = 0;
            sigwait(&signals_, &signal);
            if (ending_) return;
            source_.request_stop();
            sigwait(&signals_, &signal);
            if (!ending_) std::_Exit(128 + signal);
        });
    }
    ~StopOnSignal() {
        ending_ = true;
        pthread_kill(waiter_.native_handle(), SIGTERM);
        waiter_.join();
    }
    std::stop_token token() const { return source_.get_token(); }
    void wait() {
        std::binary_semaphore stopped(0);
        std::stop_callback wake(token(), [&] { stopped.release(); });
        stopped.acquire();
    }

  private:
    sigset_t signals_;
    std::stop_source source_;
    std::atomic<bool> ending_{false};
    std::thread waiter_;
};

Result<std::pair<std::string, std::uint16_t>> split_listen(const std::string& listen) {
    const auto colon = listen.rfind(':');
    unsigned port = 0;
    const char* end = listen.data() + listen.size();
    if (colon != std::string::npos)
        if (const auto [stop, error] = std::from_chars(listen.data() + colon + 1, end, port);
            error == std::errc{} && stop == end && port <= 65535)
            if (listen.starts_with('[') ==
                listen.substr(0, colon).ends_with(']')) { // an IPv6 address stands in brackets
                const bool v6 = listen.starts_with('[');
                return std::pair(v6 ? listen.substr(1, colon - 2) : listen.substr(0, colon),
                                 static_cast<std::uint16_t>(port));
            }
    return fail(Code::invalid_argument, "'" + listen + "' is not an address to listen on",
                "write HOST:PORT, for example 127.0.0.1:8400");
}

/// "" for the registry that comes with the mode.
std::string external(const std::string& registry) {
    return registry == "embedded" ? std::string() : registry;
}

Result<void> run_ims(const cli::ImsFlags& flags) {
    CONSIGN_TRY(listen, split_listen(flags.listen));
    StopOnSignal stop;
    const auto mib = [](int count) { return static_cast<std::uint64_t>(count) << 20; };
    CONSIGN_TRY(ims, ims::Ims::start({.data = flags.data,
                                      .listen_address = listen.first,
                                      .listen_port = listen.second,
                                      .tls_certificate_file = flags.tls_cert,
                                      .tls_key_file = flags.tls_key,
                                      .public_url = flags.public_url,
                                      .threads = static_cast<std::size_t>(flags.threads),
                                      .version = CONSIGN_VERSION,
                                      .lease = std::chrono::seconds(flags.lease_s),
                                      .schedule = {.health = flags.health_every,
                                                   .drift = flags.drift_every,
                                                   .gc = flags.gc_every},
                                      .registry = {.quota_bytes = mib(flags.registry_quota_mib),
                                                   .repository_quota_bytes =
                                                       mib(flags.registry_repository_quota_mib),
                                                   .free_floor_bytes = mib(flags.registry_free_floor_mib)},
                                      .vendor_registry = {.url = external(flags.registry),
                                                          .direct = flags.registry_mode == "direct",
                                                          .ca_file = flags.registry_ca,
                                                          .pull_role_arn = flags.registry_pull_role,
                                                          .immutable_tags = flags.registry_immutable_tags,
                                                          .scan_on_push = flags.registry_scan_on_push}}));
    if (!ims->new_owner_token().empty())
        std::cout << "owner token (shown once, kept in " << (flags.data / "owner.token").string()
                  << "): " << ims->new_owner_token() << std::endl;
    log::info("serving",
              {{"url", ims->public_url()}, {"data", flags.data.string()}, {"version", CONSIGN_VERSION}});
    stop.wait();
    log::info("draining");
    ims->drain();
    return {};
}

Result<void> run_build_agent(const cli::BuildAgentFlags& flags) {
    StopOnSignal stop;
    CONSIGN_TRY(agent, agent::Agent::open({.kind = protocol::AgentKind::build,
                                           .ims = flags.ims,
                                           .enroll_token = flags.enroll,
                                           .data = flags.data,
                                           .slots = flags.slots,
                                           .once = flags.once,
                                           .ca_file = flags.ca_file,
                                           .version = CONSIGN_VERSION}));
    log::info("build agent ready",
              {{"agent", agent->identity().agent.str()}, {"ims", agent->identity().ims_url}});
    return agent->run(build::job_handlers(), stop.token());
}

Result<void> run_build_here(const cli::BuildHereFlags& flags) {
    StopOnSignal stop;
    const auto slash = flags.target.find('/');
    CONSIGN_TRY(builds,
                build::build_here(
                    {.ims = flags.ims,
                     .token = flags.token,
                     .app = flags.target.substr(0, slash),
                     .component = slash == std::string::npos ? std::string{} : flags.target.substr(slash + 1),
                     .source_root = flags.source,
                     .ca_file = flags.ca_file,
                     .log = [](std::string_view line) { std::cerr << line << std::endl; }},
                    stop.token()));
    if (flags.json) {
        std::cout << json::dump(json::encode(protocol::List<protocol::BuildView>{builds}), 2) << "\n";
        return {};
    }
    for (const auto& build : builds)
        std::cout << build.id.str() << "  " << build.app << "/" << build.component << "  "
                  << (build.artifact ? build.artifact->digest.str() : "") << "\n";
    return {};
}

Result<void> run_install_agent(const cli::InstallAgentFlags& flags) {
    StopOnSignal stop;
    CONSIGN_TRY(agent, agent::Agent::open({.kind = protocol::AgentKind::install,
                                           .ims = flags.ims,
                                           .enroll_token = flags.enroll,
                                           .data = flags.data,
                                           .slots = flags.slots,
                                           .ca_file = flags.ca_file,
                                           .version = CONSIGN_VERSION}));
    CONSIGN_TRY(site, install::InstallSite::open(
                          {.data = flags.data,
                           .registry_listen = flags.registry_listen,
                           .registry_url = external(flags.registry),
                           .registry_ca_file = flags.registry_ca},
                          *agent));
    log::info("install agent ready", {{"agent", agent->identity().agent.str()},
                                      {"install", agent->identity().install_name},
                                      {"ims", agent->identity().ims_url},
                                      {"registry_port", site->registry_port()}});
    return agent->run(site->job_handlers(), stop.token());
}

} // namespace

int main(int argc, char** argv) {
    return cli::run(argc, argv,
                    {.ims = run_ims,
                     .build_agent = run_build_agent,
                     .build_here = run_build_here,
                     .install_agent = run_install_agent},
                    CONSIGN_VERSION);
}
