#include "consign/oci/registry_account.hpp"
#include "aws/ecr_account.hpp"
#include "consign/oci/credentials.hpp"
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

namespace consign::oci {

namespace {

// A helper's password may be short-lived; asking it again costs a process.
constexpr auto kKeepFor = std::chrono::minutes(5);

/// The docker way: config.json, credential helpers, the environment.
class PlainAccount final : public RegistryAccount {
  public:
    PlainAccount(net::Executor executor, net::BlockingPool& pool, net::Url url, std::string prefix,
                 AccountOptions options)
        : RegistryAccount(executor, std::move(url), std::move(prefix), std::move(options)), pool_(pool) {}
    bool has_pull_logins() const override { return false; }

  protected:
    net::Async<Result<Login>> do_login(std::string repository) override {
        const auto now = SystemClock().now();
        if (const auto kept = logins_.find(repository); kept != logins_.end() && now < kept->second.until)
            co_return kept->second.login;
        CONSIGN_CO_TRY(found, co_await pool_.run([places = credential_places(options().environment),
                                                  host = url().host_header(), repository] {
            return find_credential(places, host, repository);
        }));
        if (logins_.size() >= kLoginsLimit) logins_.clear();
        auto& kept = logins_[repository];
        kept = {
            {.username = found.username, .password = found.password, .identity_token = found.identity_token},
            now + kKeepFor};
        co_return kept.login;
    }
    net::Async<Result<void>> do_prepare(std::string, bool) override { co_return Result<void>{}; }
    net::Async<Result<Login>> do_pull_login(std::string, std::string) override {
        co_return fail(Code::unsupported,
                       describe() + " has no passwords for a single repository and a quarter of an hour",
                       "use --registry-mode gateway");
    }

  private:
    static constexpr std::size_t kLoginsLimit = 1024;
    struct Kept {
        Login login;
        Time until;
    };
    net::BlockingPool& pool_;
    std::map<std::string, Kept> logins_;
};

/// Runs where the account lives and comes back. On another thread it is not cancelled: cancelling across
/// threads is a race, and every request below has a deadline.
template <class T>
net::Async<Result<T>> run_on(net::Executor home, net::Async<Result<T>> work) {
    const net::Executor here = co_await net::asio::this_coro::executor;
    if (here == home) co_return co_await std::move(work);
    co_return co_await net::asio::co_spawn(
        home, std::move(work),
        net::asio::bind_cancellation_slot(net::asio::cancellation_slot(), net::use_async));
}

struct Where {
    net::Url url;
    std::string prefix;
    std::optional<aws::EcrHost> ecr; ///< without account and region when the URL does not say them
};

Result<Where> parse_where(std::string_view text) {
    constexpr std::string_view kEcr = "ecr+";
    const bool named = text.starts_with(kEcr);
    if (named) text.remove_prefix(kEcr.size());
    std::string with_scheme(text);
    if (!text.contains("://")) {
        if (!aws::parse_ecr_host(text.substr(0, text.find('/'))))
            return fail(Code::invalid_argument, "'" + std::string(text) + "' is not the URL of a registry",
                        "write https://HOST[/PREFIX]; http:// for one without TLS");
        with_scheme = "https://" + with_scheme;
    }
    CONSIGN_TRY(url, net::Url::parse(with_scheme));
    Where out{.url = url, .prefix = url.target.substr(1), .ecr = aws::parse_ecr_host(url.host)};
    out.url.target = "/";
    while (out.prefix.ends_with('/')) out.prefix.pop_back();
    if (!out.prefix.empty() && !is_repository_name(out.prefix))
        return fail(Code::invalid_argument,
                    "'" + out.prefix + "' cannot be the beginning of a repository's name");
    if (!out.prefix.empty()) out.prefix += '/';
    if (named && !out.ecr) out.ecr.emplace();
    return out;
}

} // namespace

RegistryAccount::RegistryAccount(net::Executor executor, net::Url url, std::string prefix,
                                 AccountOptions options)
    : executor_(executor), url_(std::move(url)), prefix_(std::move(prefix)), options_(std::move(options)) {}

Result<std::unique_ptr<RegistryAccount>>
RegistryAccount::open(net::Executor executor, net::BlockingPool& pool, AccountOptions options) {
    CONSIGN_TRY(where, parse_where(options.registry));
    if (where.ecr)
        return aws::open_ecr_account(executor, pool, where.url, where.prefix, *where.ecr, std::move(options));
    if (!options.pull_role_arn.empty())
        return fail(Code::invalid_argument,
                    "a pull role is for ECR, and " + where.url.origin() + " is not known to be one",
                    "write ecr+https://… if it is");
    return std::make_unique<PlainAccount>(executor, pool, where.url, where.prefix, std::move(options));
}

std::string RegistryAccount::name_of(std::string_view repository) const {
    return prefix_ + std::string(repository);
}

std::string RegistryAccount::describe() const {
    return url_.origin() + (prefix_.empty() ? "" : "/" + prefix_.substr(0, prefix_.size() - 1));
}

net::Async<Result<Login>> RegistryAccount::login(std::string repository) {
    return run_on<Login>(executor_, do_login(std::move(repository)));
}
net::Async<Result<void>> RegistryAccount::prepare(std::string repository, bool anew) {
    return run_on<void>(executor_, do_prepare(std::move(repository), anew));
}
net::Async<Result<Login>> RegistryAccount::pull_login(std::string repository, std::string who) {
    return run_on<Login>(executor_, do_pull_login(std::move(repository), std::move(who)));
}

RemoteOptions remote_options(const RegistryAccount& account, Login login) {
    RemoteOptions out{.registry = account.url(), .username = std::move(login.username)};
    out.password = std::move(login.password);
    out.identity_token = std::move(login.identity_token);
    return out;
}

} // namespace consign::oci
