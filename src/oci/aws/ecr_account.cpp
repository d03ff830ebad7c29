#include "ecr_account.hpp"
#include "credential_chain.hpp"
#include "ecr.hpp"
#include "sts.hpp"

namespace consign::oci::aws {

namespace {

// The shortest session that STS makes.
constexpr auto kPullSession = std::chrono::minutes(15);
constexpr std::size_t kKnownLimit = 10'000;

class EcrAccount final : public RegistryAccount {
  public:
    EcrAccount(net::Executor executor, net::BlockingPool& pool, net::Url url, std::string prefix,
               EcrHost host, AccountOptions options)
        : RegistryAccount(executor, std::move(url), std::move(prefix), std::move(options)),
          host_(std::move(host)), client_(executor),
          chain_(client_, pool, clock_, this->options().environment), login_(executor, clock_) {}

    bool has_pull_logins() const override { return !options().pull_role_arn.empty(); }

  protected:
    net::Async<Result<Login>> do_login(std::string) override {
        co_return co_await login_.get([this] { return fetch_login(); });
    }

    net::Async<Result<void>> do_prepare(std::string repository, bool anew) override {
        if (anew) arns_.erase(repository);
        CONSIGN_CO_CHECK(co_await ensure(std::move(repository)));
        co_return Result<void>{};
    }

    net::Async<Result<Login>> do_pull_login(std::string repository, std::string who) override {
        if (!has_pull_logins())
            co_return fail(Code::unsupported,
                           "passwords for a single repository of " + describe() + " need a role",
                           "give one: --registry-pull-role ARN");
        // The ARN is ECR's own word: it knows its partition and whose the registry is.
        CONSIGN_CO_TRY(arn, co_await arn_of(repository));
        CONSIGN_CO_CHECK(co_await find_region());
        CONSIGN_CO_TRY(caller, co_await chain_.get());
        CONSIGN_CO_TRY(endpoint, sts_endpoint(host_.region, chain_.environment()));
        CONSIGN_CO_TRY(session, co_await assume_role(client_, clock_, {endpoint, host_.region}, caller,
                                                     {.role_arn = options().pull_role_arn,
                                                      .session_name = "consign-" + who,
                                                      .policy = pull_policy(arn),
                                                      .duration = kPullSession}));
        CONSIGN_CO_TRY(api, co_await ecr(session));
        CONSIGN_CO_TRY(authorization, co_await api.authorization());
        auto login = login_of(authorization);
        if (session.expires_at) login.expires_at = std::min(*login.expires_at, *session.expires_at);
        co_return login;
    }

  private:
    static Login login_of(const EcrAuthorization& from) {
        return {.username = from.username, .password = from.password, .expires_at = from.expires_at};
    }
    static net::Async<Result<Credentials>> give(Credentials credentials) { co_return credentials; }

    /// A registry under another name does not say its region.
    net::Async<Result<void>> find_region() {
        if (!host_.region.empty()) co_return Result<void>{};
        CONSIGN_CO_TRY(region, co_await chain_.region());
        host_.region = region;
        co_return Result<void>{};
    }
    /// With our own identity, or with `as`.
    net::Async<Result<Ecr>> ecr(std::optional<Credentials> as = std::nullopt) {
        CONSIGN_CO_CHECK(co_await find_region());
        CONSIGN_CO_TRY(endpoint, ecr_endpoint(host_, chain_.environment()));
        Ecr::Identity who = [this] { return chain_.get(); };
        if (as) who = [as = *as] { return give(as); };
        co_return Ecr(client_, clock_, std::move(who), endpoint, host_.region, host_.account);
    }

    net::Async<Result<Login>> fetch_login() {
        // ECR says 12 hours, but does not promise that a login outlives the session that it was made with.
        CONSIGN_CO_TRY(credentials, co_await chain_.get());
        CONSIGN_CO_TRY(api, co_await ecr(credentials));
        CONSIGN_CO_TRY(authorization, co_await api.authorization());
        auto login = login_of(authorization);
        if (credentials.expires_at) login.expires_at = std::min(*login.expires_at, *credentials.expires_at);
        co_return login;
    }

    void know(const EcrRepository& repository) {
        if (arns_.size() >= kKnownLimit) arns_.clear();
        arns_[repository.name] = repository.arn;
    }

    net::Async<Result<std::string>> arn_of(std::string repository) {
        if (const auto known = arns_.find(repository); known != arns_.end()) co_return known->second;
        CONSIGN_CO_TRY(api, co_await ecr());
        CONSIGN_CO_TRY(found, co_await api.describe(repository));
        know(found);
        co_return std::move(found.arn);
    }

    net::Async<Result<std::string>> ensure(std::string repository) {
        auto found = co_await arn_of(repository);
        if (found || found.error().code != Code::not_found) co_return found;
        CONSIGN_CO_TRY(api, co_await ecr());
        auto made = co_await api.create(
            repository, {.immutable_tags = options().immutable_tags, .scan_on_push = options().scan_on_push});
        if (!made && made.error().code == Code::conflict)
            co_return co_await arn_of(repository); // somebody was faster
        if (!made) co_return std::unexpected(std::move(made).error());
        log::info("made a repository in ECR", {{"repository", repository}});
        know(*made);
        co_return made->arn;
    }

    EcrHost host_;
    SystemClock clock_;
    net::Client client_; ///< for AWS's own services: their certificates are the system's
    CredentialChain chain_;
    Kept<Login> login_;
    std::map<std::string, std::string> arns_; ///< of the repositories that are known to exist
};

} // namespace

Result<std::unique_ptr<RegistryAccount>> open_ecr_account(net::Executor executor, net::BlockingPool& pool,
                                                          net::Url url, std::string prefix, EcrHost host,
                                                          AccountOptions options) {
    return std::make_unique<EcrAccount>(executor, pool, std::move(url), std::move(prefix), std::move(host),
                                        std::move(options));
}

} // namespace consign::oci::aws
