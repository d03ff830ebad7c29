#pragma once
// What travels between agents and the server, as far as the engine looks at it.
#include "consign/protocol/agent_api.hpp"

namespace simulation {

using namespace consign;

struct Request {
    enum class Kind { poll, start, renew, steps, logs, complete } kind = Kind::poll;
    int process = 0;       ///< who sends it: where the answer goes
    std::uint64_t id = 0;  ///< repeats of one request have different ids
    AgentId agent;
    protocol::PollRequest poll;
    JobId job;
    std::int64_t epoch = 0;
    std::vector<protocol::StepReport> steps;
    std::int64_t offset = 0; ///< of `lines`
    std::string lines;
    protocol::CompleteRequest completion;
};

struct Response {
    int process = 0;
    Request request; ///< what it answers
    std::optional<Error> error;
    protocol::PollResponse poll;
    bool accepted = true;             ///< of logs
    std::int64_t expected_offset = 0; ///< of logs
};

} // namespace simulation
