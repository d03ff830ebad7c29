#include "views.hpp"
#include "deploys.hpp"
#include "installs.hpp"
#include <format>

namespace consign::ims::views {
namespace {

Result<std::optional<protocol::WaitingFor>> blocked_by(store::Connection& c, const Job& job) {
    if (job.deploy) {
        CONSIGN_TRY(running, deploys::is_running(c, job.deploy));
        if (!running)
            return protocol::WaitingFor{"an earlier deploy of the same install",
                                        "it starts by itself after that"};
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
    return protocol::WaitingFor{"dependency " + names, "it starts by itself when they have succeeded"};
}

} // namespace

Result<protocol::JobView> job(store::Connection& c, const Job& job, Detail detail) {
    protocol::JobView view{.id = job.id,
                           .kind = job.kind,
                           .app = job.app,
                           .component = job.component,
                           .state = job.state,
                           .attempt = job.attempt,
                           .max_attempts = job.max_attempts,
                           .epoch = job.epoch,
                           .cancel_requested = job.cancel_requested,
                           .error = job.error,
                           .created_at = job.created_at,
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
    if (job.state == model::JobState::blocked) {
        CONSIGN_TRY(waiting, blocked_by(c, job));
        view.waiting_for = std::move(waiting);
    }
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
