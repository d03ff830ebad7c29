#pragma once
// Job logs in their own database: appended in order, exactly once, readable from any offset while they grow.
#include "consign/net/mailbox.hpp"
#include "consign/store/sqlite.hpp"
#include "log_streams.hpp"
#include <array>

namespace consign::ims {

class LogStore {
  public:
    static Result<std::unique_ptr<LogStore>> open(const std::filesystem::path& file);

    /// From now on only pieces of `epoch` (or a later one) are taken; returns the stream's size. Called with
    /// every new lease, so that a holder of an old one cannot add a line; the first one needs no write for it.
    net::Async<Result<std::int64_t>> fence(JobId job, std::int64_t epoch);

    using Appended = log_streams::Appended;
    /// Appends if `offset` is the stream's size. lease_lost for an old epoch; too_large past 1 GiB.
    net::Async<Result<Appended>> append(JobId job, std::int64_t epoch, std::int64_t offset, std::string data);

    using Page = log_streams::Page;
    net::Async<Result<Page>> read(JobId job, std::int64_t offset, std::size_t limit_bytes);

    /// Moves whenever a stream that shares its slot grows.
    net::Mailbox& mailbox(const JobId& job);
    void notify_all();

  private:
    std::unique_ptr<store::Database> db_;
    std::array<net::Mailbox, 64> mailboxes_;
};

} // namespace consign::ims
