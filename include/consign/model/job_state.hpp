#pragma once
// The job state machine (docs/architecture.md): the only place that decides a transition.
#include "consign/base/json.hpp"
#include <array>
#include <optional>

namespace consign::model {

enum class JobState {
    blocked,           ///< waits for the jobs it depends on
    awaiting_approval, ///< waits for a person
    queued,            ///< may be claimed
    leased,            ///< an agent session has it, work has not begun
    running,
    succeeded,
    failed,
    cancelled,
    timed_out,
    skipped, ///< a job it depends on did not succeed, or it was rejected
};

enum class JobEvent {
    release, ///< dependencies are done, no approval is needed
    hold,    ///< dependencies are done, approval is needed
    dependency_failed,
    approve,
    reject,
    claim,
    start,
    requeue, ///< the lease ran out or was given back, attempts are left
    exhaust, ///< the lease ran out and no attempt is left
    succeed,
    fail,
    cancel, ///< the job has ended by a cancel request
    time_out,
};

struct Transition {
    JobState from;
    JobEvent on;
    JobState to;
};

inline constexpr Transition kJobTransitions[] = {
    {JobState::blocked, JobEvent::release, JobState::queued},
    {JobState::blocked, JobEvent::hold, JobState::awaiting_approval},
    {JobState::blocked, JobEvent::dependency_failed, JobState::skipped},
    {JobState::blocked, JobEvent::cancel, JobState::cancelled},
    {JobState::awaiting_approval, JobEvent::approve, JobState::queued},
    {JobState::awaiting_approval, JobEvent::reject, JobState::skipped},
    {JobState::awaiting_approval, JobEvent::cancel, JobState::cancelled},
    {JobState::queued, JobEvent::claim, JobState::leased},
    {JobState::queued, JobEvent::cancel, JobState::cancelled},
    {JobState::queued, JobEvent::time_out, JobState::timed_out},
    {JobState::leased, JobEvent::start, JobState::running},
    {JobState::leased, JobEvent::requeue, JobState::queued},
    {JobState::leased, JobEvent::exhaust, JobState::failed},
    {JobState::leased, JobEvent::fail, JobState::failed},
    {JobState::leased, JobEvent::cancel, JobState::cancelled},
    {JobState::running, JobEvent::requeue, JobState::queued},
    {JobState::running, JobEvent::exhaust, JobState::failed},
    {JobState::running, JobEvent::succeed, JobState::succeeded},
    {JobState::running, JobEvent::fail, JobState::failed},
    {JobState::running, JobEvent::cancel, JobState::cancelled},
    {JobState::running, JobEvent::time_out, JobState::timed_out},
};

constexpr std::optional<JobState> next(JobState from, JobEvent on) {
    for (const auto& t : kJobTransitions)
        if (t.from == from && t.on == on) return t.to;
    return std::nullopt;
}

constexpr bool is_terminal(JobState state) {
    for (const auto& t : kJobTransitions)
        if (t.from == state) return false;
    return true;
}
constexpr bool is_held(JobState state) { return state == JobState::leased || state == JobState::running; }

static_assert(is_terminal(JobState::succeeded) && is_terminal(JobState::failed) &&
              is_terminal(JobState::cancelled) && is_terminal(JobState::timed_out) &&
              is_terminal(JobState::skipped));
static_assert(!next(JobState::queued, JobEvent::succeed), "what was never leased cannot finish");

} // namespace consign::model

template <>
struct consign::json::EnumNames<consign::model::JobState> {
    using E = consign::model::JobState;
    static constexpr std::array<std::pair<E, std::string_view>, 10> names{{
        {E::blocked, "blocked"},
        {E::awaiting_approval, "awaiting_approval"},
        {E::queued, "queued"},
        {E::leased, "leased"},
        {E::running, "running"},
        {E::succeeded, "succeeded"},
        {E::failed, "failed"},
        {E::cancelled, "cancelled"},
        {E::timed_out, "timed_out"},
        {E::skipped, "skipped"},
    }};
};
