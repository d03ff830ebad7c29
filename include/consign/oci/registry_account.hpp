#pragma once
// Another operator's registry that we have an account at: Amazon ECR, whose passwords are made from IAM
// credentials (docs/registry-ecr.md), or any other, whose user name and password are found where docker keeps
// them.
#include "consign/base/clock.hpp"
#include "consign/base/secret.hpp"
#include "consign/net/client.hpp"
#include "consign/oci/remote.hpp"
#include <map>

namespace consign::oci {

/// A user name and a password for a registry.
struct Login {
    std::string username = {};
    Secret<std::string> password = {};       ///< empty: anonymous
    Secret<std::string> identity_token = {}; ///< an OAuth2 refresh token, used instead of the password
    std::optional<Time> expires_at = {};
};

struct AccountOptions {
    /// "https://HOST[:PORT][/PREFIX]", "http://…" for one without TLS, or the bare host name of an ECR
    /// registry. "ecr+https://…" is an ECR registry under another name. Repositories are below PREFIX.
    std::string registry;
    std::string ca_file = {}; ///< PEM, for the registry alone; empty: the system's
    /// Of the role that pull logins are sessions of (ECR only).
    std::string pull_role_arn = {};
    bool immutable_tags = false, scan_on_push = false; ///< of ECR repositories that are made on demand
    std::map<std::string, std::string> environment = {};
};

/// All functions: any thread with an executor; the work is done on the account's own.
class RegistryAccount {
  public:
    virtual ~RegistryAccount() = default;

    /// Checks the URL and the options; sends nothing. Coroutines run on `executor`, which must not end before
    /// this does; destroy it on that executor's thread.
    static Result<std::unique_ptr<RegistryAccount>> open(net::Executor executor, net::BlockingPool& pool,
                                                         AccountOptions options);

    /// Scheme, host and port.
    const net::Url& url() const { return url_; }
    const AccountOptions& options() const { return options_; }
    /// What `repository` is called there: with the prefix in front.
    std::string name_of(std::string_view repository) const;
    std::string describe() const; ///< "https://registry.example/prefix"

    /// Our own login, good for all repositories that we may use; kept and renewed. `repository` as it is
    /// there.
    net::Async<Result<Login>> login(std::string repository);
    /// Has the repository made if the registry wants that and it is not there. Before a push. That it is
    /// there is remembered; `anew`: look again, somebody may have removed it.
    net::Async<Result<void>> prepare(std::string repository, bool anew = false);
    /// A login that reads this one repository and nothing else, for at most 15 minutes. `who` goes into the
    /// session's name, for CloudTrail. unsupported, except for ECR with a pull role.
    net::Async<Result<Login>> pull_login(std::string repository, std::string who);
    virtual bool has_pull_logins() const = 0;

  protected:
    RegistryAccount(net::Executor executor, net::Url url, std::string prefix, AccountOptions options);
    virtual net::Async<Result<Login>> do_login(std::string repository) = 0;
    virtual net::Async<Result<void>> do_prepare(std::string repository, bool anew) = 0;
    virtual net::Async<Result<Login>> do_pull_login(std::string repository, std::string who) = 0;

  private:
    net::Executor executor_;
    net::Url url_;
    std::string prefix_; ///< "" or "team/"
    AccountOptions options_;
};

/// What open_remote() needs for `repository` (as it is there).
RemoteOptions remote_options(const RegistryAccount& account, Login login);

} // namespace consign::oci
