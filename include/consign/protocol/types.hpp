#pragma once
// Words that the server, the agents and the client share on the wire.
#include "consign/base/json.hpp"
#include "consign/model/app_config.hpp"
#include "consign/model/job_kind.hpp"
#include "consign/model/job_state.hpp"
#include <array>

namespace consign::protocol {

enum class AgentKind { build, install };
using model::JobKind;
enum class StepState { running, succeeded, failed };
/// How an attempt ended. given_back: the agent could not go on with it; another attempt may.
enum class Outcome { succeeded, failed, cancelled, timed_out, given_back };
enum class Role { viewer, ci, operator_, owner };
enum class DeployKind { deploy, teardown };
enum class DeployState { queued, running, succeeded, failed, cancelled };

/// An artifact in the vendor registry, named by digest.
struct ArtifactRef {
    std::string repository;
    Digest digest;

    static constexpr auto fields(auto& self, auto&& f) {
        f("repository", self.repository);
        f("digest", self.digest);
    }
};

enum class WaitReason {
    dependency, ///< jobs that must succeed first
    approval,   ///< a person
    deploy,     ///< an earlier deploy of the same install
    agent,      ///< none is enrolled, or it is away, or it takes no work
    slot,       ///< an agent that has its hands full
    pause,      ///< the time until the next attempt
};

/// What a waiting job or deploy waits for, and what to do about it.
struct WaitingFor {
    WaitReason reason = WaitReason::agent;
    std::string what; ///< "agent acme was last seen 3 min ago"
    std::string hint; ///< "start it: consign install-agent …"
    Time since{};

    static constexpr auto fields(auto& self, auto&& f) {
        f("reason", self.reason);
        f("what", self.what);
        f("hint", self.hint, json::kDefaulted);
        f("since", self.since);
    }
};

inline constexpr std::string_view kLeaseHeader = "Consign-Lease"; ///< carries the epoch

} // namespace consign::protocol

namespace consign::json {
template <>
struct EnumNames<protocol::AgentKind> {
    using E = protocol::AgentKind;
    static constexpr std::array<std::pair<E, std::string_view>, 2> names{
        {{E::build, "build"}, {E::install, "install"}}};
};
template <>
struct EnumNames<protocol::WaitReason> {
    using E = protocol::WaitReason;
    static constexpr std::array<std::pair<E, std::string_view>, 6> names{{{E::dependency, "dependency"},
                                                                          {E::approval, "approval"},
                                                                          {E::deploy, "deploy"},
                                                                          {E::agent, "agent"},
                                                                          {E::slot, "slot"},
                                                                          {E::pause, "pause"}}};
};
template <>
struct EnumNames<protocol::StepState> {
    using E = protocol::StepState;
    static constexpr std::array<std::pair<E, std::string_view>, 3> names{
        {{E::running, "running"}, {E::succeeded, "succeeded"}, {E::failed, "failed"}}};
};
template <>
struct EnumNames<protocol::Outcome> {
    using E = protocol::Outcome;
    static constexpr std::array<std::pair<E, std::string_view>, 5> names{{{E::succeeded, "succeeded"},
                                                                          {E::failed, "failed"},
                                                                          {E::cancelled, "cancelled"},
                                                                          {E::timed_out, "timed_out"},
                                                                          {E::given_back, "given_back"}}};
};
template <>
struct EnumNames<protocol::Role> {
    using E = protocol::Role;
    static constexpr std::array<std::pair<E, std::string_view>, 4> names{
        {{E::viewer, "viewer"}, {E::ci, "ci"}, {E::operator_, "operator"}, {E::owner, "owner"}}};
};
template <>
struct EnumNames<protocol::DeployKind> {
    using E = protocol::DeployKind;
    static constexpr std::array<std::pair<E, std::string_view>, 2> names{
        {{E::deploy, "deploy"}, {E::teardown, "teardown"}}};
};
template <>
struct EnumNames<protocol::DeployState> {
    using E = protocol::DeployState;
    static constexpr std::array<std::pair<E, std::string_view>, 5> names{{{E::queued, "queued"},
                                                                          {E::running, "running"},
                                                                          {E::succeeded, "succeeded"},
                                                                          {E::failed, "failed"},
                                                                          {E::cancelled, "cancelled"}}};
};
} // namespace consign::json
