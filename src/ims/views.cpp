#include "views.hpp"
#include "deploys.hpp"
#include "installs.hpp"
#include <format>

namespace consign::ims::views {
namespace {

using protocol::WaitReason;

Result<std::optional<protocol::WaitingFor>> blocked_by(store::Connection& c, const Job& job) {
    if (job.deploy) {
        CONSIGN_TRY(running, deploys::is_running(c, job.deploy));
        if (!running)
            return protocol::WaitingFor{.reason = WaitReason::deploy,
                                        .what = "an earlier deploy of the same install",
                                        .hint = "it starts by itself after that",
                                        .since = job.since};
    }
    std::string names;
    CONSIGN_CHECK(
        c.query("SELECT j.component, j.state FROM job_dependencies d JOIN jobs j ON j.id = d.depends_on "
                "WHERE d.job=$1 AND j.state <> 'succeeded'",
                {job.id}, [&](const store::Row& row) {
                    names += std::format("{}{} ({})", names.empty() ? "" : ", ", row.text(0), row.text(1));
                    return true;
                }));
    if (names.empty()) return std::nullopt;
    return protocol::WaitingFor{.reason = WaitReason::dependency,
                                .what = "dependency " + names,
                                .hint = "it starts by itself when they have succeeded",
                                .since = job.since};
}

/// As far as the store knows; what an agent's absence has to do with it, Explainer does.
Result<std::optional<protocol::WaitingFor>> waiting_for(store::Connection& c, const Job& job) {
    if (job.state == model::JobState::blocked) return blocked_by(c, job);
    if (job.state == model::JobState::awaiting_approval)
        return protocol::WaitingFor{.reason = WaitReason::approval,
                                    .what = "approval of " + job.component,
                                    .hint = std::format("consign approve {0} or consign reject {0}",
                                                        job.deploy.str()),
                                    .since = job.since};
    if (job.state == model::JobState::queued && job.not_before != Time{})
        return protocol::WaitingFor{.reason = WaitReason::pause,
                                    .what = std::format("attempt {} of {}, at {}", job.attempt + 1,
                                                        job.max_attempts, to_rfc3339(job.not_before)),
                                    .hint = "it starts by itself; the last attempt's end is in the log",
                                    .since = job.since};
    return std::nullopt;
}

} // namespace

Result<protocol::JobView> job(store::Connection& c, const Job& job, Detail detail) {
    protocol::JobView view{.id = job.id,
                           .kind = job.kind,
                           .app = job.app,
                           .component = job.component,
                           .state = job.state,
                           .priority = job.priority,
                           .attempt = job.attempt,
                           .max_attempts = job.max_attempts,
                           .epoch = job.epoch,
                           .deadline = job.deadline,
                           .limit_at = job.limit_at,
                           .cancel_requested = job.stop == Stop::cancel,
                           .error = job.error,
                           .created_at = job.created_at,
                           .since = job.since,
                           .started_at = job.started_at,
                           .finished_at = job.finished_at};
    view.result = json::parse(job.result).value_or(json::Value::object());
    if (job.agent) view.agent = job.agent;
    if (job.deploy) view.deploy = job.deploy;
    if (job.build) view.build = job.build;
    if (job.install) {
        CONSIGN_TRY(install, installs::by_id(c, job.install));
        view.install = install.name;
    }
    CONSIGN_TRY(waiting, waiting_for(c, job));
    view.waiting_for = std::move(waiting);
    if (detail == Detail::full) {
        CONSIGN_TRY(
            steps,
            c.query_all("SELECT attempt, seq, name, state, detail, started_at, finished_at FROM job_steps "
                        "WHERE job=$1 ORDER BY attempt, seq",
                        {job.id}, [](const store::Row& row) {
                            return protocol::StepView{.attempt = static_cast<int>(row.integer(0)),
                                                      .seq = static_cast<int>(row.integer(1)),
                                                      .name = row.string(2),
                                                      .state =
                                                          json::enum_from<protocol::StepState>(row.text(3))
                                                              .value_or(protocol::StepState::failed),
                                                      .detail = row.string(4),
                                                      .started_at = row.time(5),
                                                      .finished_at = row.optional_time(6)};
                        }));
        view.steps = std::move(steps);
    }
    return view;
}

} // namespace consign::ims::views
