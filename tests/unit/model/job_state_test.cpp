#include "consign/model/job_state.hpp"
#include <catch2/catch.hpp>
#include <set>

using namespace consign;
using namespace consign::model;

namespace {
constexpr auto kLastEvent = JobEvent::time_out;

std::vector<JobState> states() {
    std::vector<JobState> out;
    for (const auto& [state, name] : json::EnumNames<JobState>::names) out.push_back(state);
    return out;
}
std::vector<JobEvent> events() {
    std::vector<JobEvent> out;
    for (int i = 0; i <= static_cast<int>(kLastEvent); ++i) out.push_back(static_cast<JobEvent>(i));
    return out;
}
std::set<JobState> reachable(JobState from) {
    std::set<JobState> seen{from};
    for (bool grew = true; grew;) {
        grew = false;
        for (const auto& t : kJobTransitions)
            grew = (seen.contains(t.from) && seen.insert(t.to).second) || grew;
    }
    return seen;
}
} // namespace

TEST_CASE("the table has one answer for every state and event") {
    for (const auto state : states()) {
        for (const auto event : events()) {
            const auto listed = std::ranges::count_if(
                kJobTransitions, [&](const Transition& t) { return t.from == state && t.on == event; });
            CAPTURE(json::name_of(state), static_cast<int>(event));
            CHECK(listed <= 1);
            CHECK(next(state, event).has_value() == (listed == 1));
        }
    }
}

TEST_CASE("terminal states stay terminal") {
    const std::set<JobState> terminal{JobState::succeeded, JobState::failed, JobState::cancelled,
                                      JobState::timed_out, JobState::skipped};
    for (const auto state : states()) {
        CAPTURE(json::name_of(state));
        CHECK(is_terminal(state) == terminal.contains(state));
        if (!terminal.contains(state)) continue;
        for (const auto event : events()) CHECK(next(state, event) == std::nullopt);
    }
}

TEST_CASE("every state that is not terminal can end, and be cancelled") {
    for (const auto state : states()) {
        CAPTURE(json::name_of(state));
        const auto ends = reachable(state);
        CHECK(std::ranges::any_of(ends, is_terminal));
        if (!is_terminal(state)) CHECK(next(state, JobEvent::cancel) == JobState::cancelled);
    }
    CHECK(reachable(JobState::blocked).size() == states().size());
}

TEST_CASE("only a running job succeeds, and only a claim gives a lease") {
    for (const auto& t : kJobTransitions) {
        if (t.to == JobState::succeeded) CHECK(t.from == JobState::running);
        if (t.to == JobState::leased) CHECK(t.on == JobEvent::claim);
        if (t.to == JobState::running) CHECK(t.from == JobState::leased);
        if (t.on == JobEvent::requeue || t.on == JobEvent::exhaust) CHECK(is_held(t.from));
    }
}
