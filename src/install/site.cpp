#include "consign/base/log.hpp"
#include "consign/install/install.hpp"
#include "consign/oci/registry_server.hpp"
#include "install/external_registry.hpp"
#include "install/jobs.hpp"
#include "install/tcp_probe.hpp"
#include "install/upkeep.hpp"

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
    explicit Site(std::unique_ptr<Supervisor> supervisor) : supervisor_(std::move(supervisor)) {}

    ~Site() override {
        if (server_) server_->drain(2s);
    }

    Result<void> use(std::unique_ptr<oci::Registry> embedded, const std::string& address) {
        registry_ = std::move(embedded);
        registry_server_.emplace(
            *registry_, pull_for_all,
            oci::RegistryServerOptions{.read_only = true, .realm = {}, .service = "consign"});
        CONSIGN_TRY(parsed, parse_host_port(address));
        auto& registry = *registry_server_;
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

    void use(std::unique_ptr<ExternalRegistry> external) {
        external_ = std::move(external);
        host_port_ = external_->address();
    }

    Result<void> resume(const std::filesystem::path& data) {
        auto open = [this](const std::string& name) {
            return external_ ? external_->repository(name) : registry_->repository(name);
        };
        jobs_ = std::make_unique<InstallJobs>(std::move(open), *supervisor_,
                                              InstallJobsOptions{.data = data, .registry = host_port_});
        upkeep_ = std::make_unique<Upkeep>(*jobs_, registry_.get());
        CONSIGN_CHECK(jobs_->resume_all());
        if (server_) server_->start();
        log::info(server_ ? "the install's registry is served" : "the install's registry is another one",
                  {{"address", host_port_}});
        if (external_)
            if (auto good = external_->check(); !good)
                log::error("nothing new can be deployed now", {{"error", to_string(good.error())}});
        return {};
    }

    agent::JobHandlers job_handlers() override {
        using protocol::JobKind;
        auto& jobs = *jobs_;
        auto& upkeep = *upkeep_;
        return {{JobKind::apply, [&jobs](agent::JobContext& context) { return jobs.apply(context); }},
                {JobKind::teardown, [&jobs](agent::JobContext& context) { return jobs.teardown(context); }},
                {JobKind::health, [&upkeep](agent::JobContext& context) { return upkeep.health(context); }},
                {JobKind::drift, [&upkeep](agent::JobContext& context) { return upkeep.drift(context); }},
                {JobKind::gc, [&upkeep](agent::JobContext& context) { return upkeep.collect(context); }}};
    }

    std::uint16_t registry_port() const override { return server_ ? server_->port() : 0; }

  private:
    std::unique_ptr<oci::Registry> registry_; ///< or
    std::unique_ptr<ExternalRegistry> external_;
    std::optional<oci::RegistryServer> registry_server_;
    std::unique_ptr<Supervisor> supervisor_;
    std::string host_port_;
    std::unique_ptr<InstallJobs> jobs_;
    std::unique_ptr<Upkeep> upkeep_;
    std::unique_ptr<net::Server> server_; ///< last: its threads end first
};

} // namespace

Result<std::unique_ptr<InstallSite>> InstallSite::open(InstallOptions options, agent::Agent& agent) {
    std::error_code error;
    // Rendered templates, services and commands see these paths from other working directories.
    const auto data = std::filesystem::absolute(options.data, error).lexically_normal();
    if (error) return fail_errno("cannot find out where '" + options.data.string() + "' is", error.value());
    CONSIGN_CHECK(make_directories(components_directory(data)));
    std::unique_ptr<oci::Registry> embedded;
    std::unique_ptr<ExternalRegistry> external;
    if (options.registry_url.empty()) {
        CONSIGN_TRY(registry, oci::Registry::open(data / "registry", agent.io().blocking()));
        embedded = std::move(registry);
    } else {
        CONSIGN_TRY(account, ExternalRegistry::open(agent, options.registry_url, options.registry_ca_file));
        external = std::move(account);
    }
    CONSIGN_TRY(supervisor, Supervisor::start(components_directory(data)));
    auto site = std::make_unique<Site>(std::move(supervisor));
    if (external)
        site->use(std::move(external));
    else
        CONSIGN_CHECK(site->use(std::move(embedded), options.registry_listen));
    CONSIGN_CHECK(site->resume(data));
    return site;
}

} // namespace consign::install
