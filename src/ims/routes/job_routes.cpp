#include "ims/builds.hpp"
#include "ims/deploys.hpp"
#include "ims/explain.hpp"
#include "ims/installs.hpp"
#include "ims/routes.hpp"
#include "ims/schedules.hpp"
#include "ims/streams.hpp"
#include "ims/views.hpp"
#include <format>

namespace consign::ims {
namespace {

using Answer = net::Async<Result<net::Response>>;
constexpr std::size_t kLogPageBytes = 1u << 20;

struct Found {
    protocol::JobView view;
    InstallId install;
};

Answer get_job(Call& call) {
    CONSIGN_CO_TRY(id, call.id<JobId>("id"));
    CONSIGN_CO_TRY(found, co_await call.core.db->read([id](store::Connection& c) -> Result<Found> {
        CONSIGN_TRY(job, jobs::get(c, id));
        CONSIGN_TRY(view, views::job(c, job, views::Detail::full));
        return Found{std::move(view), job.install};
    }));
    Explainer(call.core.directory, call.core.clock.now())(found.view, found.install);
    co_return answer(found.view);
}

Answer list_jobs(Call& call) {
    const auto install = call.request.query.get_or("install", "");
    const auto state = call.request.query.get_or("state", "");
    const auto deploy = call.request.query.get_or("deploy", "");
    if (!state.empty() && !json::enum_from<model::JobState>(state))
        co_return fail(Code::invalid_argument, std::format("'{}' is not a job state", state));
    if (!deploy.empty() && !DeployId::parse(deploy))
        co_return fail(Code::invalid_argument, std::format("'{}' is not the id of a deploy", deploy),
                       "see: consign deploy list");
    CONSIGN_CO_TRY(found,
                   co_await call.core.db->read(
                       [install, state, deploy](store::Connection& c) -> Result<std::vector<Found>> {
                           InstallId of;
                           if (!install.empty()) {
                               CONSIGN_TRY(known, installs::get(c, install));
                               of = known.id;
                           }
                           CONSIGN_TRY(rows, jobs::find(c,
                                                        "($1 IS NULL OR install=$1) AND ($2='' OR state=$2) "
                                                        "AND ($3='' OR deploy=$3) ORDER BY id DESC LIMIT 200",
                                                        {of, state, deploy}));
                           std::vector<Found> out;
                           for (const auto& job : rows) {
                               CONSIGN_TRY(view, views::job(c, job, views::Detail::summary));
                               out.push_back({std::move(view), job.install});
                           }
                           return out;
                       }));
    std::vector<protocol::JobView> views;
    Explainer explain(call.core.directory, call.core.clock.now());
    for (auto& item : found) {
        explain(item.view, item.install);
        views.push_back(std::move(item.view));
    }
    co_return answer_list(std::move(views));
}

Answer cancel_job(Call& call) {
    CONSIGN_CO_TRY(id, call.id<JobId>("id"));
    CONSIGN_CO_TRY(view, co_await call.core.change(
                             [id, who = call.caller.name()](Change& change) -> Result<protocol::JobView> {
                                 CONSIGN_TRY(job, jobs::cancel(change, id, who));
                                 CONSIGN_CHECK(change.audit(who, "job.cancel", id.str()));
                                 return views::job(change.tx, job, views::Detail::summary);
                             }));
    co_return answer(view);
}

/// A terminal state is final: trying again is a new job (and, for an install, a new deploy).
Answer retry_job(Call& call) {
    CONSIGN_CO_TRY(id, call.id<JobId>("id"));
    CONSIGN_CO_TRY(view, co_await call.core.change([id, who = call.caller.name()](
                                                       Change& change) -> Result<protocol::JobView> {
        CONSIGN_TRY(job, jobs::get(change.tx, id));
        if (!model::is_terminal(job.state) || job.state == model::JobState::succeeded)
            return fail(Code::conflict, std::format("job {} is {}; only one that failed can be tried again",
                                                    id.str(), json::name_of(job.state)));
        CONSIGN_CHECK(change.audit(who, "job.retry", id.str()));
        JobId again;
        if (job.build) {
            CONSIGN_TRY(made, builds::retry(change, job));
            again = made;
        } else if (job.policy().scheduled) {
            CONSIGN_TRY(made, schedules::run_now(change, job.install, job.kind));
            again = made;
        } else {
            CONSIGN_TRY(deploy, deploys::retry(change, job.deploy, who));
            CONSIGN_TRY(made, jobs::find(change.tx, "deploy=$1 AND component=$2", {deploy, job.component}));
            if (made.empty()) return fail(Code::not_found, "nothing is left to do for " + job.component);
            again = made.front().id;
        }
        CONSIGN_TRY(stored, jobs::get(change.tx, again));
        return views::job(change.tx, stored, views::Detail::summary);
    }));
    co_return answer(view, 201);
}

/// As server-sent events. A reader that has seen the end and comes back all the same (a browser's EventSource
/// does) is told to stop: that is what 204 means to it.
Answer stream_logs(Call& call, JobId id, std::int64_t offset) {
    CONSIGN_CO_TRY(from, net::resume_from(call.request.headers, offset));
    CONSIGN_CO_TRY(job, co_await call.core.db->read([id](store::Connection& c) { return jobs::get(c, id); }));
    if (model::is_terminal(job.state) && call.request.headers.has("Last-Event-ID")) {
        CONSIGN_CO_TRY(left, co_await call.core.logs->read(id, from, 1));
        if (left.data.empty()) co_return net::Response::empty(204);
    }
    co_return net::event_stream(call.request, log_feed(call.core, call.caller, id, from));
}

/// The bytes from `offset`; with `wait`, parked until there are some or the job has ended.
Answer get_logs(Call& call) {
    CONSIGN_CO_TRY(id, call.id<JobId>("id"));
    CONSIGN_CO_TRY(offset, call.number("offset", 0, 0, std::numeric_limits<std::int64_t>::max()));
    CONSIGN_CO_TRY(wait_s, call.number("wait", 0, 0, 55));
    if (net::wants_event_stream(call.request.headers)) co_return co_await stream_logs(call, id, offset);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(wait_s);
    auto& mailbox = call.core.logs->mailbox(id);
    for (;;) {
        const auto seen = mailbox.version();
        // State before bytes: a job that has ended before the read writes nothing after it.
        CONSIGN_CO_TRY(job,
                       co_await call.core.db->read([id](store::Connection& c) { return jobs::get(c, id); }));
        CONSIGN_CO_TRY(page, co_await call.core.logs->read(id, offset, kLogPageBytes));
        const bool ended = model::is_terminal(job.state);
        if (!page.data.empty() || ended || wait_s == 0 || std::chrono::steady_clock::now() >= deadline) {
            const bool last = ended && page.data.size() < kLogPageBytes;
            auto response = net::Response::text(200, std::move(page.data));
            response.headers.set("Consign-Log-Offset", std::to_string(page.next));
            if (last) response.headers.set("Consign-Log-End", "true");
            co_return response;
        }
        const auto woken = co_await call.request.parking->wait_past(mailbox, seen, deadline);
        if (woken == net::Wake::gone) co_return fail(Code::cancelled, "the caller hung up");
        if (woken == net::Wake::draining) wait_s = 0;
    }
}

constexpr Route kRoutes[] = {
    {net::Verb::get,
     "/v1/jobs",
     list_jobs,
     Access::viewer,
     "The newest 200 jobs, without steps",
     {.gives = kGives<protocol::List<protocol::JobView>>,
      .query = {{{"install", "string", "only those of this install"},
                 {"state", "string", "only those in this state"},
                 {"deploy", "string", "only those of this deploy"}}}}},
    {net::Verb::get,
     "/v1/jobs/{id}",
     get_job,
     Access::viewer,
     "One job with its steps",
     {.gives = kGives<protocol::JobView>}},
    {net::Verb::get,
     "/v1/jobs/{id}/logs",
     get_logs,
     Access::viewer,
     "Log bytes, at most 1 MiB",
     {.gives = kText,
      .or_nothing = true,
      .query = {{{"offset", "integer", "where to begin, in bytes"}, kWait}},
      .stream = true,
      .deadline = kParkedDeadline}},
    {net::Verb::post,
     "/v1/jobs/{id}/cancel",
     cancel_job,
     Access::operator_,
     "Asks for the job to end",
     {.gives = kGives<protocol::JobView>}},
    {net::Verb::post,
     "/v1/jobs/{id}/retry",
     retry_job,
     Access::operator_,
     "Does the work of a failed job again, as a new job",
     {.gives = kGives<protocol::JobView>, .status = 201}},
};

} // namespace

std::span<const Route> job_routes() { return kRoutes; }

} // namespace consign::ims
