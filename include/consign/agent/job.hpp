#pragma once
// What a job's code sees. It is plain blocking code on a thread of its own; everything that talks to the
// network is done for it on the agent's I/O thread.
#include "consign/net/async.hpp"
#include "consign/protocol/client.hpp"
#include <stop_token>

namespace consign::agent {

/// One attempt of one job. Used by the job's thread only, except stop().
class JobContext {
  public:
    virtual ~JobContext() = default;
    virtual const protocol::Lease& lease() const = 0;
    /// Requested by a cancel, a lost lease, a superseded session or shutdown. Check it between steps and hand
    /// it on.
    virtual std::stop_token stop() const = 0;
    /// Appends to the job's log; shipped in the background, exactly once and in order. Registered secrets are
    /// redacted.
    virtual void log(std::string_view text) = 0;
    /// From now on this value is replaced by "(redacted)" in log lines, steps and errors. Values under 4
    /// bytes are not.
    virtual void redact(std::string secret) = 0;

    /// Steps: begin_step ends a step that is still open as succeeded.
    virtual void begin_step(std::string_view name) = 0;
    virtual void end_step(protocol::StepState state, std::string_view detail) = 0;

    /// A one-time token for this job's artifact.
    virtual Result<protocol::PullToken> pull_token() = 0;
    /// The agent's own access token (password for the vendor registry); build agents only.
    virtual Result<std::string> access_token() = 0;

    /// Where this agent reaches its IMS.
    virtual const net::Url& ims() const = 0;
    virtual net::IoThread& io() = 0;
    virtual net::Client& http() = 0; ///< for coroutines that io() runs
    virtual const std::filesystem::path& data() const = 0;
    /// A scratch directory of this attempt, removed afterwards.
    virtual const std::filesystem::path& scratch() const = 0;
};

/// How a job ended; `result` is sent with success and failure alike.
struct JobOutcome {
    std::optional<Error> error; ///< none: succeeded. Code::cancelled and timed_out give that outcome.
    json::Value result = json::Value::object();
};

/// Runs one job to its end. Must be safe to run again after a crash at any point.
using JobHandler = std::function<JobOutcome(JobContext&)>;
using JobHandlers = std::map<protocol::JobKind, JobHandler>;

} // namespace consign::agent
