#include "agent/run_context.hpp"

namespace consign::agent {

void RunContext::log(std::string_view text) {
    std::string out;
    {
        const std::scoped_lock lock(mutex_);
        out = redactor_.feed(text);
    }
    // The I/O thread ships the log: it must never wait for itself.
    run_.outbox_.append(out, stop(), !io().executor().running_in_this_thread());
}

void RunContext::redact(std::string secret) {
    const std::scoped_lock lock(mutex_);
    redactor_.add(secret);
}

std::string RunContext::redacted(std::string_view text) {
    const std::scoped_lock lock(mutex_);
    return redactor_.redact(text);
}

void RunContext::report(protocol::StepState state, std::string_view detail) {
    step_.state = state;
    step_.detail = redacted(detail);
    step_.at = clock_.now();
    run_.outbox_.report(step_);
}

void RunContext::begin_step(std::string_view name) {
    end_step(protocol::StepState::succeeded, "");
    ++step_.seq;
    step_.name = redacted(name);
    step_open_ = true;
    report(protocol::StepState::running, "");
}

void RunContext::end_step(protocol::StepState state, std::string_view detail) {
    if (!std::exchange(step_open_, false)) return;
    report(state, detail);
}

Result<protocol::PullToken> RunContext::pull_token() {
    CONSIGN_TRY(text, io().run(run_.insist({.path = run_.path("pull-token"), .epoch = run_.lease_.epoch},
                                           JobRun::Ask::unless_stopped)));
    CONSIGN_TRY(token, json::decode_text<protocol::PullToken>(text));
    redact(token.password);
    return token;
}

Result<std::string> RunContext::access_token() {
    if (run_.environment_.kind != protocol::AgentKind::build)
        return fail(Code::permission_denied, "only a build agent uses its own access token",
                    "use the one-time pull token of the job");
    CONSIGN_TRY(token, io().run(run_.access_token()));
    redact(token);
    return token;
}

void RunContext::finish(JobOutcome& outcome) {
    if (outcome.error) {
        outcome.error->message = redacted(outcome.error->message);
        outcome.error->hint = redacted(outcome.error->hint);
        end_step(protocol::StepState::failed, outcome.error->message);
    } else {
        end_step(protocol::StepState::succeeded, "");
    }
    std::string rest;
    {
        const std::scoped_lock lock(mutex_);
        rest = redactor_.finish();
    }
    run_.outbox_.append(rest, stop(), true);
}

} // namespace consign::agent
