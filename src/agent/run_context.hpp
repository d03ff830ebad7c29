#pragma once
#include "agent/job_run.hpp"
#include "agent/redactor.hpp"

namespace consign::agent {

/// What the handler sees of its run. Lives on the job's thread; log() and redact() may also come from a
/// progress callback on the I/O thread while the job's thread waits for the transfer.
class RunContext final : public JobContext {
  public:
    explicit RunContext(JobRun& run) : run_(run) {}

    const protocol::Lease& lease() const override { return run_.lease_; }
    std::stop_token stop() const override { return run_.stop_.get_token(); }
    void log(std::string_view text) override;
    void redact(std::string secret) override;
    void begin_step(std::string_view name) override;
    void end_step(protocol::StepState state, std::string_view detail) override;
    Result<protocol::PullToken> pull_token() override;
    Result<std::string> access_token() override;
    const net::Url& ims() const override { return run_.environment_.ims.url(); }
    net::IoThread& io() override { return run_.environment_.io; }
    net::Client& http() override { return run_.environment_.http; }
    const std::filesystem::path& data() const override { return run_.environment_.data; }
    const std::filesystem::path& scratch() const override { return run_.scratch_; }

    /// Ends the open step as the job ended, sends the last piece of a line, and clears the outcome of
    /// secrets.
    void finish(JobOutcome& outcome);

  private:
    void report(protocol::StepState state, std::string_view detail);
    std::string redacted(std::string_view text);

    JobRun& run_;
    std::mutex mutex_;
    Redactor redactor_; ///< under the mutex
    protocol::StepReport step_;
    bool step_open_ = false;
    SystemClock clock_;
};

} // namespace consign::agent
