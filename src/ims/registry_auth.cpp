// The registry's half of auth.hpp: grants, the Docker token flow's bearer tokens, and one-time pull tokens.
#include "auth.hpp"
#include "consign/base/jwt.hpp"
#include "consign/base/random.hpp"
#include "consign/oci/token_grant.hpp"
#include "jobs.hpp"
#include <format>

namespace consign::ims::auth {
namespace {

constexpr std::string_view kRegistryAudience = "registry";
constexpr std::string_view kRefreshAudience = "registry-refresh";
// Of a refresh token, as docker keeps in place of the password. It is worth no more than the user's token that it was
// got with, and dies with it.
constexpr auto kRefreshTtl = std::chrono::days(90);
// How long a pull token may lie before its first use. The agent asks for it right before it pulls.
constexpr auto kPullTokenTtl = std::chrono::minutes(15);

struct RegistryClaims {
    std::string aud;
    std::optional<TokenId> user, pull;
    std::optional<AgentId> agent;
    static constexpr auto fields(auto& self, auto&& f) {
        f("aud", self.aud);
        f("user", self.user);
        f("pull", self.pull);
        f("agent", self.agent);
    }
};

} // namespace

std::optional<std::pair<std::string, std::string>> basic_credentials(std::string_view authorization) {
    if (!authorization.starts_with("Basic ")) return std::nullopt;
    const auto decoded = from_base64(authorization.substr(6));
    if (!decoded) return std::nullopt;
    const auto text = as_text(*decoded);
    const auto colon = text.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    return std::pair(std::string(text.substr(0, colon)), std::string(text.substr(colon + 1)));
}

oci::Grant grant_of(const Caller& caller) {
    using enum oci::Action;
    // An install agent's own token opens nothing here: it pulls with the one-time token of its job.
    if (caller.agent)
        return caller.agent->kind == protocol::AgentKind::build ? oci::Grant{{{"*", {pull, push}, {}}}}
                                                                : oci::Grant{};
    if (!caller.user) return {};
    switch (caller.user->role) {
    case protocol::Role::viewer:
        return {{{"*", {pull}, {}}}};
    case protocol::Role::ci:
        return {{{"*", {pull, push}, {}}}};
    case protocol::Role::operator_:
    case protocol::Role::owner:
        break;
    }
    return {.scopes = {{"*", {pull, push, delete_}, {}}}, .catalog = true};
}

Result<protocol::PullToken> make_pull_token(Change& change, const JobId& job, std::int64_t epoch,
                                            const protocol::ArtifactRef& artifact,
                                            std::string_view registry_url) {
    protocol::PullToken token{.registry = std::string(registry_url),
                              .repository = artifact.repository,
                              .digest = artifact.digest,
                              .username = "pull",
                              .password = random_token(kPullTokenPrefix),
                              .expires_at = change.now + kPullTokenTtl};
    CONSIGN_CHECK(change.tx.execute("INSERT INTO pull_tokens(id, hash, job, epoch, repository, digest, "
                                    "expires_at) VALUES ($1,$2,$3,$4,$5,$6,$7)",
                                    {TokenId::make(change.now), sha256_hex(token.password), job, epoch,
                                     artifact.repository, artifact.digest.str(), token.expires_at}));
    return token;
}

net::Async<Result<PullSession>> redeem_pull_token(Core& core, std::string token, std::string remote) {
    struct Row {
        TokenId id;
        JobId job;
        std::int64_t epoch;
        protocol::ArtifactRef artifact;
        Time expires_at;
        std::optional<Time> redeemed_at;
    };
    // A refusal must be recorded, so the closure succeeds with the refusal as its value: an error would roll
    // it back.
    using Verdict = std::expected<PullSession, Error>;
    auto verdict = co_await core.change([hash = sha256_hex(token),
                                         remote](Change& change) -> Result<Verdict> {
        CONSIGN_TRY(row, change.tx.query_one(
                             "SELECT id, job, epoch, repository, digest, expires_at, redeemed_at FROM "
                             "pull_tokens WHERE hash=$1",
                             {hash}, [](const store::Row& r) {
                                 return Row{r.id<TokenId>(0),
                                            r.id<JobId>(1),
                                            r.integer(2),
                                            {r.string(3), Digest::parse(r.text(4)).value_or(Digest{})},
                                            r.time(5),
                                            r.optional_time(6)};
                             }));
        if (!row) return Verdict(fail(Code::unauthenticated, "unknown pull token"));
        const auto refuse = [&](std::string_view why) -> Result<Verdict> {
            CONSIGN_CHECK(change.audit(remote, "pull_token.refused", row->job.str(), why));
            CONSIGN_CHECK(change.event({.kind = "pull_token.refused",
                                        .job = row->job,
                                        .detail = std::format("{}, from {}", why, remote)}));
            return Verdict(fail(Code::unauthenticated, std::format("this pull token {}", why),
                                "the agent asks for a new one per job"));
        };
        if (row->redeemed_at) return refuse("was used already");
        if (row->expires_at < change.now) return refuse("has expired");
        CONSIGN_TRY(job, jobs::get(change.tx, row->job));
        if (!model::is_held(job.state) || job.epoch != row->epoch)
            return refuse("belongs to a job that has ended");
        CONSIGN_CHECK(change.tx.execute("UPDATE pull_tokens SET redeemed_at=$2, redeemed_from=$3 WHERE id=$1",
                                        {row->id, change.now, remote}));
        CONSIGN_CHECK(change.audit(remote, "pull_token.redeemed", row->job.str(),
                                   row->artifact.repository + "@" + row->artifact.digest.str()));
        return Verdict(PullSession{row->id, row->artifact});
    });
    if (!verdict) co_return std::unexpected(verdict.error());
    co_return std::move(*verdict);
}

net::Async<Result<bool>> pull_session_live(Core& core, TokenId id) {
    co_return co_await core.db->read([id](store::Connection& c) -> Result<bool> {
        CONSIGN_TRY(live,
                    c.query_one("SELECT 1 FROM pull_tokens t JOIN jobs j ON j.id = t.job WHERE t.id=$1 AND "
                                "j.epoch = t.epoch AND j.state IN ('leased', 'running')",
                                {id}, [](const store::Row&) { return true; }));
        return live.has_value();
    });
}

RegistryHolder registry_holder(const Caller& caller) {
    RegistryHolder holder;
    if (caller.user) holder.user = caller.user->id;
    if (caller.agent) holder.agent = caller.agent->id;
    return holder;
}

std::string sign_registry_token(const Core& core, const oci::Grant& grant, const RegistryHolder& holder,
                                std::chrono::seconds ttl) {
    const auto now = to_millis(core.clock.now()) / 1000;
    json::Value claims{{"iss", core.vendor.id},
                       {"aud", kRegistryAudience},
                       {"iat", now},
                       {"exp", now + ttl.count()}};
    oci::add_claims(claims, grant);
    if (holder.user) claims["user"] = holder.user->str();
    if (holder.agent) claims["agent"] = holder.agent->str();
    if (holder.pull) claims["pull"] = holder.pull->str();
    return jwt::sign(claims, core.vendor.token_key);
}

namespace {

/// Whether whoever got the token has not been revoked since.
net::Async<Result<void>> check_holder(Core& core, RegistryHolder holder) {
    if (holder.user) {
        const auto user = core.directory.user(*holder.user);
        if (!user) co_return fail(Code::unauthenticated, "the token was revoked");
        if (user->expires_at && *user->expires_at < core.clock.now())
            co_return fail(Code::unauthenticated, "the user's token has expired");
    }
    if (holder.agent) {
        const auto agent = core.directory.agent(*holder.agent);
        if (!agent || agent->revoked) co_return fail(Code::unauthenticated, "the agent was revoked");
    }
    if (holder.pull) {
        CONSIGN_CO_TRY(live, co_await pull_session_live(core, *holder.pull));
        if (!live) co_return fail(Code::unauthenticated, "the job that this token was made for has ended");
    }
    co_return Result<void>{};
}

} // namespace

net::Async<Result<oci::Grant>> authorise_registry(Core& core, std::string authorization) {
    if (!authorization.starts_with("Bearer ")) co_return fail(Code::unauthenticated, "a token is needed");
    CONSIGN_CO_TRY(raw, core.registry_tokens.verify(std::string_view(authorization).substr(7),
                                                    core.vendor.token_public_key, core.clock.now()));
    auto claims = json::decode<RegistryClaims>(*raw);
    if (!claims || claims->aud != kRegistryAudience)
        co_return fail(Code::unauthenticated, "this token is not for the registry");
    const RegistryHolder bearer{.user = claims->user, .pull = claims->pull, .agent = claims->agent};
    CONSIGN_CO_CHECK(co_await check_holder(core, bearer));
    auto grant = oci::grant_of_claims(*raw);
    if (!grant) co_return fail(Code::unauthenticated, "the token is refused: " + grant.error().message);
    Caller holder;
    if (claims->user) holder.user = core.directory.user(*claims->user);
    if (claims->agent) holder.agent = core.directory.agent(*claims->agent);
    if (holder.user || holder.agent) grant->obtainable = std::make_shared<const oci::Grant>(grant_of(holder));
    grant->recheck = [&core, bearer] { return check_holder(core, bearer); };
    co_return std::move(*grant);
}

std::optional<std::string> sign_refresh_token(const Core& core, const Caller& caller) {
    if (!caller.user) return std::nullopt; // an agent's own token ends within the hour, and nothing outlives it
    const auto now = core.clock.now();
    return jwt::sign({{"iss", core.vendor.id},
                      {"aud", kRefreshAudience},
                      {"iat", to_millis(now) / 1000},
                      {"exp", to_millis(now + kRefreshTtl) / 1000},
                      {"user", caller.user->id.str()}},
                     core.vendor.token_key);
}

Result<Caller> authenticate_refresh_token(const Core& core, std::string_view token) {
    CONSIGN_TRY(raw, jwt::verify(token, core.vendor.token_public_key, core.clock.now()));
    const auto claims = json::decode<RegistryClaims>(raw);
    if (!claims || claims->aud != kRefreshAudience || !claims->user)
        return fail(Code::unauthenticated, "this is no refresh token of the registry", "log in again");
    Caller caller{.user = core.directory.user(*claims->user), .agent = {}};
    if (!caller.user || (caller.user->expires_at && *caller.user->expires_at < core.clock.now()))
        return fail(Code::unauthenticated, "the token that this one was got with has expired or was revoked",
                    "log in again, with a token that is valid");
    return caller;
}

} // namespace consign::ims::auth
