#include "install/external_registry.hpp"
#include "consign/oci/credentials.hpp"
#include "consign/oci/remote.hpp"

namespace consign::install {

struct ExternalRegistry::Parts {
    Parts(net::Executor executor, const std::string& ca_file) : http(executor, {.ca_file = ca_file}) {}
    net::Client http;
    std::unique_ptr<oci::RegistryAccount> account;

    static net::Async<Result<std::unique_ptr<Parts>>> make(net::Executor executor, net::BlockingPool* pool,
                                                           oci::AccountOptions options) {
        auto parts = std::make_unique<Parts>(executor, options.ca_file);
        CONSIGN_CO_TRY(account, oci::RegistryAccount::open(executor, *pool, std::move(options)));
        parts->account = std::move(account);
        co_return std::move(parts);
    }
    static net::Async<Result<void>> drop(std::unique_ptr<Parts>* parts) {
        parts->reset();
        co_return Result<void>{};
    }
    static net::Async<Result<oci::Login>> log_in(Parts* parts, std::string repository, bool prepare) {
        if (prepare) CONSIGN_CO_CHECK(co_await parts->account->prepare(repository, true));
        co_return co_await parts->account->login(std::move(repository));
    }
};

ExternalRegistry::ExternalRegistry(net::IoThread& io, std::unique_ptr<Parts> parts)
    : io_(io), parts_(std::move(parts)) {}

ExternalRegistry::~ExternalRegistry() { (void)io_.run(Parts::drop(&parts_)); }

Result<std::unique_ptr<ExternalRegistry>> ExternalRegistry::open(agent::Agent& agent, const std::string& url,
                                                                 const std::string& ca_file) {
    auto& io = agent.io();
    CONSIGN_TRY(parts,
                io.run(Parts::make(
                    io.executor(), &io.blocking(),
                    {.registry = url, .ca_file = ca_file, .environment = oci::process_environment()})));
    return std::unique_ptr<ExternalRegistry>(new ExternalRegistry(io, std::move(parts)));
}

Result<void> ExternalRegistry::check() {
    auto& account = *parts_->account;
    auto login = io_.run(Parts::log_in(parts_.get(), account.name_of("probe"), false));
    if (!login)
        return std::unexpected(
            with_context(std::move(login).error(), "the install registry " + account.describe()));
    return {};
}

Result<std::unique_ptr<oci::Repository>> ExternalRegistry::repository(const std::string& name) {
    auto& account = *parts_->account;
    const auto there = account.name_of(name);
    auto login = io_.run(Parts::log_in(parts_.get(), there, true));
    if (!login)
        return std::unexpected(
            with_context(std::move(login).error(), "the install registry " + account.describe()));
    return oci::open_remote(parts_->http, oci::remote_options(account, std::move(*login)), there);
}

std::string ExternalRegistry::address() const {
    const auto prefix = parts_->account->name_of("");
    auto out = parts_->account->url().host_header();
    if (!prefix.empty()) out += "/" + prefix.substr(0, prefix.size() - 1);
    return out;
}

} // namespace consign::install
