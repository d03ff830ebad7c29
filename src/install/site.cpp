#include "consign/base/log.hpp"
#include "consign/install/install.hpp"
#include "consign/oci/registry_server.hpp"
#include "install/jobs.hpp"
#include "install/tcp_probe.hpp"

namespace consign::install {
namespace {

using namespace std::chrono_literals;

/// The listener serves the account's own machines, and by default this one only. What it serves is what runs
/// here anyway, and nothing can be written through it: whoever reaches it may pull. There is no credential to
/// steal.
net::Async<Result<oci::Grant>> pull_for_all(const net::Request&) {
    oci::Grant grant;
    grant.scopes.push_back({.repository = "*", .actions = {oci::Action::pull}, .only = std::nullopt});
    co_return grant;
}

net::Async<net::Response> answer(oci::RegistryServer& registry, net::Request& request) {
    if (request.path == "/v2" || request.path.starts_with("/v2/"))
        co_return co_await registry.handle(request);
    co_return net::problem(
        {Code::not_found, "there is nothing at " + request.path, "the registry is at /v2/"});
}

class Site final : public InstallSite {
  public:
    Site(std::unique_ptr<oci::Registry> registry, std::unique_ptr<Supervisor> supervisor)
        : registry_(std::move(registry)),
          registry_server_(*registry_, pull_for_all, {.read_only = true, .realm = {}, .service = "consign"}),
          supervisor_(std::move(supervisor)) {}

    ~Site() override {
        if (server_) server_->drain(2s);
    }

    Result<void> listen(const std::string& address) {
        CONSIGN_TRY(parsed, parse_host_port(address));
        auto& registry = registry_server_;
        auto bound =
            net::Server::bind({.address = parsed.host, .port = parsed.port},
                              [&registry](net::Request& request) { return answer(registry, request); });
        if (!bound) {
            auto error = with_context(bound.error(), "cannot serve the install's registry on " + address);
            if (error.code == Code::conflict)
                error.hint = "stop what uses that port, or give another: --registry-listen HOST:PORT";
            return std::unexpected(std::move(error));
        }
        server_ = std::move(*bound);
        const bool v6 = parsed.host.contains(':');
        host_port_ = (v6 ? "[" + parsed.host + "]" : parsed.host) + ":" + std::to_string(server_->port());
        return {};
    }

    Result<void> resume(const std::filesystem::path& data) {
        jobs_ = std::make_unique<InstallJobs>(*registry_, *supervisor_,
                                              InstallJobsOptions{.data = data, .registry = host_port_});
        CONSIGN_CHECK(jobs_->resume_all());
        server_->start();
        log::info("the install's registry is served", {{"address", host_port_}});
        return {};
    }

    agent::JobHandlers job_handlers() override {
        auto& jobs = *jobs_;
        return {
            {protocol::JobKind::apply, [&jobs](agent::JobContext& context) { return jobs.apply(context); }},
            {protocol::JobKind::teardown,
             [&jobs](agent::JobContext& context) { return jobs.teardown(context); }}};
    }

    std::uint16_t registry_port() const override { return server_->port(); }

  private:
    std::unique_ptr<oci::Registry> registry_;
    oci::RegistryServer registry_server_;
    std::unique_ptr<Supervisor> supervisor_;
    std::string host_port_;
    std::unique_ptr<InstallJobs> jobs_;
    std::unique_ptr<net::Server> server_; ///< last: its threads end first
};

} // namespace

Result<std::unique_ptr<InstallSite>> InstallSite::open(InstallOptions options, agent::Agent& agent) {
    std::error_code error;
    // Rendered templates, services and commands see these paths from other working directories.
    const auto data = std::filesystem::absolute(options.data, error).lexically_normal();
    if (error) return fail_errno("cannot find out where '" + options.data.string() + "' is", error.value());
    CONSIGN_CHECK(make_directories(components_directory(data)));
    CONSIGN_TRY(registry, oci::Registry::open(data / "registry", agent.io().blocking()));
    CONSIGN_TRY(supervisor, Supervisor::start(components_directory(data)));
    auto site = std::make_unique<Site>(std::move(registry), std::move(supervisor));
    CONSIGN_CHECK(site->listen(options.registry_listen));
    CONSIGN_CHECK(site->resume(data));
    return site;
}

} // namespace consign::install
