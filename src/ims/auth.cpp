#include "auth.hpp"
#include "agents.hpp"
#include "consign/base/jwt.hpp"
#include "consign/base/random.hpp"
#include <format>

namespace consign::ims {

std::string Caller::name() const {
    if (user) return user->name;
    if (agent) return "agent " + agent->id.str();
    return "nobody";
}

namespace auth {
namespace {

constexpr std::string_view kUserTokenPrefix = "cst_";
constexpr std::string_view kAccessAudience = "consign";
constexpr auto kAccessTtl = std::chrono::hours(1);
// A client assertion proves possession now: five minutes allow for a slow clock, and bound how long its jti
// is kept.
constexpr auto kAssertionTtl = std::chrono::minutes(5);
constexpr std::chrono::seconds kClockLeeway(60); // as jwt::verify() has it
constexpr const char* kEnrolAnew =
    "to enrol it anew: remove agent.json from its data directory, and start it with a new enrolment token";

std::int64_t seconds(Time time) { return to_millis(time) / 1000; }

std::string member(const json::Value& claims, std::string_view key) {
    const auto found = claims.find(key);
    return found != claims.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

Result<AgentEntry> known_agent(const Core& core, const Result<AgentId>& id) {
    auto agent = id ? core.directory.agent(*id) : std::nullopt;
    if (!agent) return fail(Code::unauthenticated, "the token's agent is not known here", kEnrolAnew);
    if (agent->revoked)
        return fail(Code::unauthenticated, std::format("agent {} is revoked", agent->id.str()), kEnrolAnew);
    return std::move(*agent);
}

Result<AgentEntry> verify_access_token(const Core& core, std::string_view token, Time now) {
    CONSIGN_TRY(claims, jwt::verify(token, core.vendor.token_public_key, now));
    if (member(claims, "aud") != kAccessAudience)
        return fail(Code::unauthenticated, "this token is for something else than the API");
    CONSIGN_TRY(agent, known_agent(core, AgentId::parse(member(claims, "sub"))));
    if (const auto exp = claims.find("exp"); exp != claims.end() && exp->is_number_integer())
        core.access_tokens.remember(token, agent.presence,
                                    from_millis(exp->get<std::int64_t>() * 1000) + kClockLeeway, now);
    return std::move(agent);
}

/// An assertion is signed for the moment of its use, so one with the agent's signature and another time tells
/// of a wrong clock: "expired, get a new one" would send its reader the wrong way.
Error explain_refusal(Error refusal, std::string_view assertion, const AgentEntry& agent, Time now) {
    constexpr std::chrono::hours kCentury(24 * 365 * 100);
    const auto claims = jwt::verify(assertion, agent.key, now, kCentury);
    if (!claims || !claims->contains("iat") || !claims->at("iat").is_number_integer()) return refusal;
    const auto issued = claims->at("iat").get<std::int64_t>(); // at most a century ahead
    const auto behind = seconds(now) - issued;
    if (issued < 0 || std::abs(behind) <= kClockLeeway.count()) return refusal;
    return {Code::unauthenticated,
            std::format("the agent's clock is {} {} this server's",
                        humanize(std::chrono::seconds(std::abs(behind))), behind > 0 ? "behind" : "ahead of"),
            "set the clocks of both machines right (NTP), then start the agent again"};
}

Result<void> check_not_expired(const Core& core, const UserEntry& user) {
    if (user.expires_at && *user.expires_at <= core.clock.now())
        return fail(Code::unauthenticated,
                    std::format("token '{}' expired on {}", user.name, to_rfc3339(*user.expires_at)));
    return {};
}

} // namespace

Result<Caller> authenticate_token(const Core& core, std::string_view token) {
    Caller caller;
    if (token.starts_with(kUserTokenPrefix)) {
        caller.user = core.directory.user_by_token(token);
        if (!caller.user)
            return fail(Code::unauthenticated, "unknown or revoked token",
                        "give a valid token: --token-file or CONSIGN_TOKEN");
        CONSIGN_CHECK(check_not_expired(core, *caller.user));
        return caller;
    }
    const auto now = core.clock.now();
    const auto holder = core.access_tokens.holder(token, now);
    CONSIGN_TRY(agent, holder ? known_agent(core, *holder) : verify_access_token(core, token, now));
    caller.agent = std::move(agent);
    return caller;
}

Result<Caller> authenticate(const Core& core, const net::Request& request) {
    const auto header = request.headers.get("Authorization");
    if (header.empty()) return Caller{};
    if (!header.starts_with("Bearer "))
        return fail(Code::unauthenticated, "the Authorization header is not a bearer token");
    return authenticate_token(core, header.substr(7));
}

Result<void> check_still_good(const Core& core, const Caller& caller) {
    if (caller.user && !core.directory.has_user(caller.user->id))
        return fail(Code::unauthenticated, "this token was revoked");
    if (caller.user) CONSIGN_CHECK(check_not_expired(core, *caller.user));
    if (caller.agent) {
        const auto now = core.directory.agent(caller.agent->id);
        if (!now || now->revoked)
            return fail(Code::unauthenticated, std::format("agent {} is revoked", caller.agent->id.str()),
                        kEnrolAnew);
    }
    return {};
}

net::Async<Result<protocol::TokenResponse>> exchange_assertion(Core& core, std::string assertion) {
    CONSIGN_CO_TRY(unverified, jwt::peek(assertion));
    CONSIGN_CO_TRY(agent, known_agent(core, AgentId::parse(member(unverified, "sub"))));
    const auto now = core.clock.now();
    auto claims = jwt::verify(assertion, agent.key, now);
    const bool by_next_key = !claims && agent.next_key;
    if (by_next_key) claims = jwt::verify(assertion, *agent.next_key, now);
    if (!claims) co_return std::unexpected(explain_refusal(std::move(claims).error(), assertion, agent, now));
    if (member(*claims, "iss") != agent.id.str())
        co_return fail(Code::unauthenticated, "the assertion's iss is not its sub");
    if (member(*claims, "aud") != core.vendor.id)
        co_return fail(Code::unauthenticated, "the assertion is for another server",
                       "this agent was enrolled elsewhere: enrol it here");
    const auto exp = claims->find("exp");
    if (exp == claims->end() || !exp->is_number_integer() ||
        exp->get<std::int64_t>() > seconds(now + kAssertionTtl) + 60)
        co_return fail(Code::unauthenticated, "the assertion needs an exp at most five minutes ahead",
                       "check the clocks of both machines");
    const auto jti = member(*claims, "jti");
    if (jti.size() < 16 || jti.size() > 128)
        co_return fail(Code::unauthenticated, "the assertion needs a jti of 16 to 128 characters");

    auto fresh = co_await core.change([id = agent.id, jti, next = by_next_key ? agent.next_key : std::nullopt](
                                          Change& change) -> Result<void> {
        CONSIGN_CHECK(change.tx.execute("DELETE FROM assertions WHERE expires_at < $1",
                                        {change.now - 2 * kAssertionTtl}));
        auto stored = change.tx.execute("INSERT INTO assertions(jti, expires_at) VALUES ($1,$2)",
                                        {id.str() + "/" + jti, change.now + 2 * kAssertionTtl});
        if (!stored && stored.error().code == Code::conflict)
            return fail(Code::unauthenticated, "this assertion was used before",
                        "sign a new one for each token");
        if (!stored) return std::unexpected(stored.error());
        return next ? agents::take_key(change, id, *next) : Result<void>{};
    });
    CONSIGN_CO_CHECK(fresh);
    const json::Value access{{"iss", core.vendor.id},
                             {"sub", agent.id.str()},
                             {"aud", kAccessAudience},
                             {"iat", seconds(now)},
                             {"exp", seconds(now + kAccessTtl)}};
    co_return protocol::TokenResponse{.access_token = jwt::sign(access, core.vendor.token_key),
                                      .expires_in =
                                          static_cast<int>(std::chrono::seconds(kAccessTtl).count())};
}

Result<protocol::EnrollTokenView> make_enroll_token(Change& change, protocol::AgentKind kind,
                                                    const InstallId& install, int ttl_s,
                                                    std::string_view actor) {
    if (ttl_s < 60 || ttl_s > 7 * 24 * 3600)
        return fail(Code::invalid_argument, std::format("ttl_s is {}", ttl_s), "give 60 seconds to 7 days");
    protocol::EnrollTokenView view{.token = random_token("cet_"),
                                   .expires_at = change.now + std::chrono::seconds(ttl_s)};
    CONSIGN_CHECK(
        change.tx.execute("INSERT INTO enroll_tokens(hash, kind, install, expires_at) VALUES ($1,$2,$3,$4)",
                          {sha256_hex(view.token), json::name_of(kind), install, view.expires_at}));
    CONSIGN_CHECK(change.audit(actor, "enroll_token.create",
                               install ? install.str() : std::string(json::name_of(kind))));
    return view;
}

Result<protocol::EnrollResponse> enroll(Change& change, const Vendor& vendor,
                                        const protocol::EnrollRequest& request) {
    struct Token {
        protocol::AgentKind kind;
        InstallId install;
        Time expires_at;
        bool used;
    };
    const auto hash = sha256_hex(request.token);
    CONSIGN_TRY(
        token,
        change.tx.query_one(
            "SELECT kind, install, expires_at, used_by FROM enroll_tokens WHERE hash=$1", {hash},
            [](const store::Row& row) {
                return Token{
                    json::enum_from<protocol::AgentKind>(row.text(0)).value_or(protocol::AgentKind::install),
                    row.id<InstallId>(1), row.time(2), !row.is_null(3)};
            }));
    const std::string again =
        "ask the vendor for a new one (consign install enroll NAME, or consign agent enroll)";
    if (!token)
        return fail(Code::unauthenticated, "this enrolment token is not known here",
                    "check the token and the URL of the server");
    if (token->used) return fail(Code::unauthenticated, "this enrolment token was used already", again);
    if (token->expires_at < change.now)
        return fail(
            Code::unauthenticated,
            std::format("this enrolment token expired {} ago", humanize(change.now - token->expires_at)),
            again);
    if (token->kind != request.kind)
        return fail(Code::invalid_argument,
                    std::format("this enrolment token is for a {} agent", json::name_of(token->kind)),
                    std::format("run: consign {}-agent", json::name_of(token->kind)));
    CONSIGN_TRY(key, PublicKey::from_pem(request.public_key));

    protocol::EnrollResponse response{.agent = AgentId::make(change.now),
                                      .ims = vendor.id,
                                      .vendor_public_key = vendor.signing_public_key.to_pem()};
    CONSIGN_CHECK(change.tx.execute("INSERT INTO agents(id, kind, install, public_key, version, hostname, "
                                    "enrolled_at) VALUES ($1,$2,$3,$4,$5,$6,$7)",
                                    {response.agent, json::name_of(request.kind), token->install,
                                     key.to_pem(), request.version, request.hostname, change.now}));
    CONSIGN_CHECK(
        change.tx.execute("UPDATE enroll_tokens SET used_by=$2 WHERE hash=$1", {hash, response.agent}));
    if (token->install) {
        response.install = token->install;
        CONSIGN_TRY(name, change.tx.query_one("SELECT name FROM installs WHERE id=$1", {token->install},
                                              [](const store::Row& row) { return row.string(0); }));
        response.install_name = name.value_or("");
        // One agent per install: enrolling a new one is how an agent is replaced.
        CONSIGN_TRY(replaced,
                    change.tx.query_all("SELECT id FROM agents WHERE install=$1 AND id<>$2 AND revoked=0",
                                        {token->install, response.agent},
                                        [](const store::Row& row) { return row.id<AgentId>(0); }));
        for (const auto& old : replaced) CONSIGN_CHECK(agents::retire(change, old, "its agent was replaced"));
        CONSIGN_CHECK(
            change.tx.execute("UPDATE installs SET agent=$2 WHERE id=$1", {token->install, response.agent}));
    }
    change.effects.agents.insert(response.agent);
    CONSIGN_CHECK(change.audit("agent " + response.agent.str(), "agent.enroll",
                               token->install ? response.install_name : "build", request.hostname));
    CONSIGN_CHECK(change.event(
        {.kind = "agent.enrolled", .install = token->install.str(), .detail = response.agent.str()}));
    return response;
}

Result<protocol::TokenView> make_user_token(Change& change, const protocol::CreateTokenRequest& request,
                                            std::string_view actor) {
    if (request.name.empty() || request.name.size() > 64)
        return fail(Code::invalid_argument, "a token needs a name of 1 to 64 characters");
    if (request.ttl_days < 0 || request.ttl_days > protocol::kLongestTokenDays)
        return fail(Code::invalid_argument,
                    std::format("ttl_days is 0 (never) to {}", protocol::kLongestTokenDays));
    protocol::TokenView view{.id = TokenId::make(change.now),
                             .name = request.name,
                             .role = request.role,
                             .token = random_token(kUserTokenPrefix),
                             .created_at = change.now};
    if (request.ttl_days > 0) view.expires_at = change.now + std::chrono::days(request.ttl_days);
    CONSIGN_CHECK(change.tx.execute(
        "INSERT INTO user_tokens(id, hash, name, role, created_at, expires_at) VALUES ($1,$2,$3,$4,$5,$6)",
        {view.id, sha256_hex(*view.token), view.name, json::name_of(view.role), change.now,
         view.expires_at}));
    CONSIGN_CHECK(change.audit(actor, "token.create", view.name, json::name_of(view.role)));
    change.effects.users = true;
    return view;
}

} // namespace auth
} // namespace consign::ims
