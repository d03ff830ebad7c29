#pragma once
#include "consign/net/mailbox.hpp"
#include "consign/protocol/agent_api.hpp"
#include <condition_variable>
#include <deque>
#include <mutex>
#include <stop_token>

namespace consign::agent {

/// What a job's thread wrote and the IMS has not stored yet: log bytes with their offset, and step reports.
/// The job's thread puts in, the I/O thread takes out. A full log makes the writer wait, so that memory is
/// bounded while the IMS is away; the child process behind it then waits on its pipe. Thread-safe.
class Outbox {
  public:
    static constexpr std::size_t kLimitBytes = 8u << 20;
    static constexpr std::size_t kBatchBytes = 256u << 10; ///< one request; a full batch goes at once
    static constexpr std::chrono::milliseconds kBatchDelay{
        250}; ///< a reader sees a line this much later, at most

    /// `offset`: of the first byte. `wake` is notified when there is something new to look at.
    Outbox(std::int64_t offset, net::Mailbox& wake, std::size_t limit_bytes = kLimitBytes);

    // For the job's side.

    /// Waits for room if `may_wait`, unless `stop` is requested; what finds no room is dropped and counted.
    void append(std::string_view text, const std::stop_token& stop, bool may_wait);
    void report(protocol::StepReport step);
    void close(); ///< nothing more comes

    // For the I/O side.

    /// From when on there is something to send; none: nothing to send.
    std::optional<net::SteadyTime> due() const;
    struct Piece {
        std::int64_t offset = 0;
        std::string bytes;
    };
    Piece next_piece() const; ///< at most kBatchBytes; empty: all was sent
    /// The server has everything before `offset`. Returns whether anything moved.
    bool resume_at(std::int64_t offset);
    std::vector<protocol::StepReport> take_steps();
    /// They could not be sent; a newer report of the same step wins.
    void put_back(std::vector<protocol::StepReport> steps);
    /// Drops what is there and all that comes, and lets a waiting writer go.
    void discard_log();
    void abandon(); ///< discard_log(), and the steps too

    bool closed() const;
    bool abandoned() const;

  private:
    void push_locked(std::string_view text);

    net::Mailbox& wake_;
    const std::size_t limit_;
    mutable std::mutex mutex_;
    std::condition_variable_any room_;
    std::string log_; ///< bytes from `offset_` on
    std::int64_t offset_;
    net::SteadyTime oldest_{}; ///< when the first byte of `log_` came
    std::uint64_t dropped_ = 0;
    std::vector<protocol::StepReport> steps_;
    bool closed_ = false, no_log_ = false, abandoned_ = false;
};

} // namespace consign::agent
