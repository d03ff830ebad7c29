#include "logs.hpp"

namespace consign::ims {

Result<std::unique_ptr<LogStore>> LogStore::open(const std::filesystem::path& file) {
    auto logs = std::make_unique<LogStore>();
    CONSIGN_TRY(db, store::open_sqlite(file, log_streams::migrations(), {.readers = 1}));
    logs->db_ = std::move(db);
    return logs;
}

net::Async<Result<std::int64_t>> LogStore::fence(JobId job, std::int64_t epoch) {
    if (epoch == log_streams::kFirstEpoch) co_return 0;
    co_return co_await db_->write(
        [job, epoch](store::Transaction& tx) { return log_streams::fence(tx, job, epoch); });
}

net::Async<Result<LogStore::Appended>> LogStore::append(JobId job, std::int64_t epoch, std::int64_t offset,
                                                        std::string data) {
    auto outcome =
        co_await db_->write([job, epoch, offset, data = std::move(data)](store::Transaction& tx) {
            return log_streams::append(tx, job, epoch, offset, data);
        });
    if (outcome && outcome->accepted) mailbox(job).notify();
    co_return outcome;
}

net::Async<Result<LogStore::Page>> LogStore::read(JobId job, std::int64_t offset, std::size_t limit_bytes) {
    co_return co_await db_->read([job, offset, limit_bytes](store::Connection& c) {
        return log_streams::read(c, job, offset, limit_bytes);
    });
}

net::Mailbox& LogStore::mailbox(const JobId& job) {
    return mailboxes_[std::hash<JobId>{}(job) % mailboxes_.size()];
}

void LogStore::notify_all() {
    for (auto& mailbox : mailboxes_) mailbox.notify();
}

} // namespace consign::ims
