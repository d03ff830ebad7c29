// What agents call: enrol, token, and the work on a job, each write fenced by the epoch in Consign-Lease. The
// poll is in poll.cpp.
#include "ims/agents.hpp"
#include "ims/leases.hpp"
#include "ims/poll.hpp"
#include "ims/routes.hpp"
#include "ims/schedules.hpp"
#include <charconv>
#include <format>

namespace consign::ims {
namespace {

using Answer = net::Async<Result<net::Response>>;

Result<jobs::Holder> holder_of(const Call& call) {
    const auto text = call.request.headers.get(protocol::kLeaseHeader);
    jobs::Holder holder{.agent = call.caller.agent->id};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), holder.epoch);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size())
        return fail(Code::invalid_argument,
                    std::format("the header {} must carry the lease's epoch", protocol::kLeaseHeader));
    return holder;
}

Answer enroll(Call& call) {
    CONSIGN_CO_TRY(request, call.json<protocol::EnrollRequest>());
    CONSIGN_CO_TRY(response, co_await call.core.change([request, core = &call.core](Change& change)
                                                           -> Result<protocol::EnrollResponse> {
        CONSIGN_TRY(enrolled, auth::enroll(change, core->vendor, request));
        if (enrolled.install)
            CONSIGN_CHECK(schedules::arrange(change, *enrolled.install, core->options.schedule));
        return std::move(enrolled);
    }));
    co_return answer(response, 201);
}

Answer token(Call& call) {
    const auto form = net::Query::parse(call.body);
    if (form.get_or("grant_type", "") != "client_credentials" ||
        form.get_or("client_assertion_type", "") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        co_return fail(Code::invalid_argument,
                       "the grant must be client_credentials with a jwt-bearer client assertion (RFC 7523)");
    CONSIGN_CO_TRY(response,
                   co_await auth::exchange_assertion(call.core, form.get_or("client_assertion", "")));
    co_return answer(response);
}

Answer key(Call& call) {
    CONSIGN_CO_TRY(request, call.json<protocol::RotateKeyRequest>());
    CONSIGN_CO_CHECK(co_await call.core.change([id = call.caller.agent->id, request](Change& change) {
        return agents::offer_key(change, id, request.public_key);
    }));
    co_return net::Response::empty(204);
}

Answer start(Call& call) {
    CONSIGN_CO_TRY(id, call.id<JobId>("id"));
    CONSIGN_CO_TRY(holder, holder_of(call));
    CONSIGN_CO_CHECK(
        co_await call.core.change([id, holder](Change& change) { return jobs::start(change, id, holder); }));
    co_return net::Response::empty(204);
}

Answer renew(Call& call) {
    CONSIGN_CO_TRY(id, call.id<JobId>("id"));
    CONSIGN_CO_TRY(holder, holder_of(call));
    CONSIGN_CO_TRY(job,
                   co_await call.core.change([id, holder, lease = call.core.options.lease](Change& change) {
                       return jobs::renew(change, id, holder, lease);
                   }));
    co_return answer(protocol::RenewResponse{.deadline = *job.deadline, .cancel = job.stop != Stop::none});
}

Answer steps(Call& call) {
    CONSIGN_CO_TRY(id, call.id<JobId>("id"));
    CONSIGN_CO_TRY(holder, holder_of(call));
    CONSIGN_CO_TRY(request, call.json<protocol::StepsRequest>());
    CONSIGN_CO_CHECK(co_await call.core.change([id, holder, steps = request.steps](Change& change) {
        return jobs::report_steps(change, id, holder, steps);
    }));
    co_return net::Response::empty(204);
}

Answer logs(Call& call) {
    CONSIGN_CO_TRY(id, call.id<JobId>("id"));
    CONSIGN_CO_TRY(holder, holder_of(call));
    CONSIGN_CO_TRY(offset, call.number("offset", -1, -1, std::numeric_limits<std::int64_t>::max()));
    if (offset < 0)
        co_return fail(Code::invalid_argument, "offset=N is missing: where this piece starts, in bytes");
    CONSIGN_CO_CHECK(co_await call.core.db->read(
        [id, holder](store::Connection& c) { return jobs::held(c, id, holder); }));
    CONSIGN_CO_TRY(appended, co_await call.core.logs->append(id, holder.epoch, offset, std::move(call.body)));
    co_return answer(protocol::LogPosition{appended.size}, appended.accepted ? 200 : 409);
}

Answer outputs(Call& call) {
    CONSIGN_CO_TRY(id, call.id<JobId>("id"));
    CONSIGN_CO_TRY(holder, holder_of(call));
    CONSIGN_CO_TRY(values, json::parse(call.body));
    if (!values.is_object()) co_return fail(Code::invalid_argument, "outputs are a JSON object");
    CONSIGN_CO_CHECK(
        co_await call.core.change([id, holder, text = json::dump(values)](Change& change) -> Result<void> {
            CONSIGN_CHECK(jobs::held(change.tx, id, holder));
            CONSIGN_CHECK(change.tx.execute("UPDATE jobs SET result=$2 WHERE id=$1", {id, text}));
            return {};
        }));
    co_return net::Response::empty(204);
}

Answer complete(Call& call) {
    CONSIGN_CO_TRY(id, call.id<JobId>("id"));
    CONSIGN_CO_TRY(holder, holder_of(call));
    CONSIGN_CO_TRY(request, call.json<protocol::CompleteRequest>());
    CONSIGN_CO_CHECK(co_await call.core.change(
        [id, holder, request](Change& change) { return jobs::complete(change, id, holder, request); }));
    co_return answer(json::Value::object());
}

/// What the held job brings to the install.
Result<protocol::ArtifactRef> artifact_of(store::Connection& c, const JobId& id, const jobs::Holder& holder) {
    CONSIGN_TRY(job, jobs::held(c, id, holder));
    if (job.kind != protocol::JobKind::apply)
        return fail(Code::conflict, "only an apply job has an artifact to pull");
    CONSIGN_TRY(spec, json::decode_text<protocol::ApplySpec>(job.spec));
    return spec.artifact;
}

/// A login at the vendor registry itself, for this one repository and a quarter of an hour. It is not ours to
/// burn: how often it is used, only the registry knows.
Answer direct_pull_token(Call& call, JobId id, jobs::Holder holder) {
    auto& core = call.core;
    CONSIGN_CO_TRY(artifact, co_await core.db->read(
                                 [id, holder](store::Connection& c) { return artifact_of(c, id, holder); }));
    auto& account = core.external->account();
    CONSIGN_CO_TRY(login, co_await account.pull_login(account.name_of(artifact.repository), id.str()));
    const protocol::PullToken token{.registry = account.describe(),
                                    .repository = artifact.repository,
                                    .digest = artifact.digest,
                                    .username = login.username,
                                    .password = login.password.reveal(),
                                    .expires_at = login.expires_at.value_or(core.clock.now())};
    // The job may have ended meanwhile; then nobody gets the login.
    CONSIGN_CO_CHECK(co_await core.change(
        [id, holder, token, remote = call.request.remote](Change& change) -> Result<void> {
            CONSIGN_CHECK(artifact_of(change.tx, id, holder));
            return change.audit(remote, "pull_token.direct", id.str(),
                                token.repository + "@" + token.digest.str() + " until " +
                                    to_rfc3339(token.expires_at));
        }));
    co_return answer(token, 201);
}

Answer pull_token(Call& call) {
    CONSIGN_CO_TRY(id, call.id<JobId>("id"));
    CONSIGN_CO_TRY(holder, holder_of(call));
    if (call.core.external && call.core.external->direct())
        co_return co_await direct_pull_token(call, id, holder);
    CONSIGN_CO_TRY(token, co_await call.core.change([id, holder, url = call.core.public_url](
                                                        Change& change) -> Result<protocol::PullToken> {
        CONSIGN_TRY(artifact, artifact_of(change.tx, id, holder));
        return auth::make_pull_token(change, id, holder.epoch, artifact, url);
    }));
    co_return answer(token, 201);
}

constexpr Route kRoutes[] = {
    {net::Verb::post,
     "/v1/agents/enroll",
     enroll,
     Access::anyone,
     "Burns an enrolment token and registers the agent's public key",
     {.takes = kTakes<protocol::EnrollRequest>,
      .gives = kGives<protocol::EnrollResponse>,
      .status = 201,
      .body_limit_bytes = 64u << 10}},
    {net::Verb::post,
     "/v1/token",
     token,
     Access::anyone,
     "An access token for a client assertion (RFC 7523)",
     {.takes = kForm, .gives = kGives<protocol::TokenResponse>, .body_limit_bytes = 64u << 10}},
    {net::Verb::post,
     "/v1/agent/poll",
     poll,
     Access::agent,
     "Waits for work; renews the leases it lists",
     {.takes = kTakes<protocol::PollRequest>,
      .gives = kGives<protocol::PollResponse>,
      .or_nothing = true,
      .body_limit_bytes = 1u << 20,
      .deadline = kParkedDeadline}},
    {net::Verb::post,
     "/v1/agent/key",
     key,
     Access::agent,
     "Offers a new public key; its first use retires the old one",
     {.takes = kTakes<protocol::RotateKeyRequest>, .status = 204, .body_limit_bytes = 64u << 10}},
    {net::Verb::post,
     "/v1/jobs/{id}/start",
     start,
     Access::agent,
     "The attempt begins",
     {.status = 204, .lease = true, .body_limit_bytes = 4u << 10}},
    {net::Verb::post,
     "/v1/jobs/{id}/renew",
     renew,
     Access::agent,
     "Renews one lease",
     {.gives = kGives<protocol::RenewResponse>, .lease = true, .body_limit_bytes = 4u << 10}},
    {net::Verb::post,
     "/v1/jobs/{id}/steps",
     steps,
     Access::agent,
     "Reports steps, by number",
     {.takes = kTakes<protocol::StepsRequest>,
      .status = 204,
      .lease = true,
      .body_limit_bytes = 1u << 20,
      .deadline = kUploadDeadline}},
    {net::Verb::post,
     "/v1/jobs/{id}/logs",
     logs,
     Access::agent,
     "Appends log bytes",
     {.takes = kBytes,
      .gives = kGives<protocol::LogPosition>,
      .refuses = kGives<protocol::LogPosition>,
      .query = {{{"offset", "integer", "where this piece begins in the job's log, in bytes", true}}},
      .lease = true,
      .body_limit_bytes = 1u << 20,
      .deadline = kUploadDeadline}},
    {net::Verb::post,
     "/v1/jobs/{id}/outputs",
     outputs,
     Access::agent,
     "Keeps intermediate outputs",
     {.takes = kAnyObject, .status = 204, .lease = true, .deadline = kUploadDeadline}},
    {net::Verb::post,
     "/v1/jobs/{id}/complete",
     complete,
     Access::agent,
     "Ends the attempt",
     {.takes = kTakes<protocol::CompleteRequest>,
      .gives = kAnyObject,
      .lease = true,
      .deadline = kUploadDeadline}},
    {net::Verb::post,
     "/v1/jobs/{id}/pull-token",
     pull_token,
     Access::agent,
     "A one-time token for the job's artifact",
     {.gives = kGives<protocol::PullToken>, .status = 201, .lease = true, .body_limit_bytes = 4u << 10}},
};

} // namespace

std::span<const Route> agent_work_routes() { return kRoutes; }

} // namespace consign::ims
