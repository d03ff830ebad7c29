#pragma once
// The kinds of jobs, and how the engine treats each: the one table that a new kind needs a row in.
#include "consign/base/json.hpp"
#include <array>
#include <chrono>

namespace consign::model {

enum class JobKind {
    build,    ///< a build agent turns a component's source into an artifact
    apply,    ///< brings a component of an install to a release
    teardown, ///< removes a component from an install
    health,   ///< asks what runs in an install how it is
    drift,    ///< compares what is in an install with what was put there
    gc,       ///< removes from the install registry what nothing refers to any more
};

/// How the engine treats a kind. A component may say otherwise about its own jobs where app_config.hpp lets
/// it.
struct JobPolicy {
    int max_attempts = 3;
    /// Before the second attempt of a job whose agent said that its failure may pass; doubled for each more.
    std::chrono::seconds first_pause{5}, longest_pause{300};
    std::chrono::seconds queue_limit{0}; ///< queued for longer, it is timed_out; 0: it waits for ever
    std::chrono::seconds run_limit{0};   ///< of one attempt; then it is stopped, and timed_out
    /// From the request to stop until the engine ends the job without its agent. Agents need less: 10 s from
    /// SIGTERM to SIGKILL.
    std::chrono::seconds stop_limit{60};
    int priority = 0;
    bool mutates = false;   ///< changes the install
    bool scheduled = false; ///< made by the schedule (or by hand), of an install as a whole

    /// The pause after `attempt` (1, 2, …) failed in a way that may pass.
    constexpr std::chrono::seconds pause_after(int attempt) const {
        auto pause = first_pause;
        for (int i = 1; i < attempt && pause < longest_pause; ++i) pause *= 2;
        return pause < longest_pause ? pause : longest_pause;
    }
};

constexpr JobPolicy policy_of(JobKind kind) {
    using namespace std::chrono_literals;
    switch (kind) {
    case JobKind::build:
        return {.queue_limit = 24h, .run_limit = 2h};
    case JobKind::apply:
        return {.first_pause = 10s, .queue_limit = 7 * 24h, .run_limit = 1h, .mutates = true};
    case JobKind::teardown:
        return {.first_pause = 10s, .queue_limit = 7 * 24h, .run_limit = 1h, .mutates = true};
    case JobKind::health:
        return {.max_attempts = 2, .run_limit = 5min, .priority = -200, .scheduled = true};
    case JobKind::drift:
        return {.max_attempts = 2, .run_limit = 30min, .priority = -200, .scheduled = true};
    case JobKind::gc:
        return {.max_attempts = 2, .run_limit = 1h, .priority = -210, .scheduled = true};
    }
    return {};
}

static_assert(policy_of(JobKind::apply).pause_after(1) == std::chrono::seconds(10));
static_assert(policy_of(JobKind::apply).pause_after(3) == std::chrono::seconds(40));
static_assert(policy_of(JobKind::apply).pause_after(60) == std::chrono::seconds(300));

} // namespace consign::model

template <>
struct consign::json::EnumNames<consign::model::JobKind> {
    using E = consign::model::JobKind;
    static constexpr std::array<std::pair<E, std::string_view>, 6> names{{
        {E::build, "build"},
        {E::apply, "apply"},
        {E::teardown, "teardown"},
        {E::health, "health"},
        {E::drift, "drift"},
        {E::gc, "gc"},
    }};
};
