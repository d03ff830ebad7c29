#include "external_registry.hpp"
#include "consign/base/log.hpp"
#include "consign/oci/credentials.hpp"

namespace consign::ims {
namespace {

using Account = std::unique_ptr<oci::RegistryAccount>;

net::Async<Result<Account>> make(net::Executor executor, net::BlockingPool* pool,
                                 oci::AccountOptions options) {
    co_return oci::RegistryAccount::open(executor, *pool, std::move(options));
}
net::Async<Result<void>> drop(Account* account) {
    account->reset();
    co_return Result<void>{};
}
net::Async<Result<oci::Login>> log_in(oci::RegistryAccount* account) {
    co_return co_await account->login(account->name_of("probe"));
}

} // namespace

Result<std::unique_ptr<ExternalRegistry>> ExternalRegistry::open(const VendorRegistryOptions& options) {
    std::unique_ptr<ExternalRegistry> out(new ExternalRegistry);
    auto account = out->io_.run(make(out->io_.executor(), &out->io_.blocking(),
                                     {.registry = options.url,
                                      .ca_file = options.ca_file,
                                      .pull_role_arn = options.pull_role_arn,
                                      .immutable_tags = options.immutable_tags,
                                      .scan_on_push = options.scan_on_push,
                                      .environment = oci::process_environment()}));
    if (!account) return std::unexpected(with_context(std::move(account).error(), "--registry"));
    out->account_ = std::move(*account);
    out->direct_ = options.direct;
    if (options.direct && !out->account_->has_pull_logins())
        return fail(Code::invalid_argument,
                    "--registry-mode direct needs ECR and a role that pull tokens are sessions of",
                    "give --registry-pull-role ARN, or use --registry-mode gateway");
    out->probe_ = std::thread([external = out.get()] {
        const auto where = external->account_->describe();
        const auto login = external->io_.run(log_in(external->account_.get()), external->stop_.get_token());
        if (login)
            log::info("vendor registry",
                      {{"registry", where}, {"mode", external->direct_ ? "direct" : "gateway"}});
        else if (login.error().code != Code::cancelled)
            log::error("the vendor registry cannot be used now",
                       {{"registry", where}, {"error", to_string(login.error())}});
    });
    return out;
}

ExternalRegistry::~ExternalRegistry() {
    stop_.request_stop();
    if (probe_.joinable()) probe_.join();
    if (account_) (void)io_.run(drop(&account_));
}

} // namespace consign::ims
