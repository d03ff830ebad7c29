// Group commit. One fdatasync costs 0.2-0.4 ms whatever it covers, so everything that queued up while the
// last one ran shares the next: 3,400 transitions/s alone, 77,000 at 64 per commit. Callers are answered
// after the commit and never before, so what was answered is on disk. Each closure has a savepoint: an error
// or an exception undoes it alone. Some failures (disk full, I/O) make SQLite roll back the whole
// transaction; then all that ran in it get that error, and the rest of the batch gets a fresh transaction.
#include "writer.hpp"
#include "consign/base/log.hpp"
#include <exception>

namespace consign::store {

namespace {

// Checkpoints copy the WAL back into the database and cost an fsync. Done while nobody waits, 512 KiB at a
// time, they are not felt; under steady load one is forced at 8 MiB, so that the WAL stays bounded.
constexpr int kIdleCheckpointPages = 128;
// One client that writes again and again leaves gaps between its requests, and would wait for the checkpoint in
// each: only what lasts longer is idleness.
constexpr std::chrono::milliseconds kIdleAfter{20};
constexpr int kForcedCheckpointPages = 2048;

} // namespace

Writer::Writer(std::unique_ptr<SqliteConnection> connection, std::size_t max_batch, std::size_t max_queue)
    : connection_(std::move(connection)), max_batch_(std::max<std::size_t>(max_batch, 1)),
      queue_(max_queue, "writes") {
    sqlite3_wal_hook(connection_->raw(), &Writer::on_commit, this);
    thread_ = std::thread([this] { loop(); });
}

Writer::~Writer() {
    queue_.close();
    thread_.join();
}

int Writer::on_commit(void* self, sqlite3*, const char*, int wal_pages) {
    static_cast<Writer*>(self)->wal_pages_ = wal_pages;
    return SQLITE_OK;
}

void Writer::loop() {
    for (;;) {
        if (checkpoint_is_due() && queue_.idle_for(kIdleAfter)) checkpoint();
        auto jobs = queue_.take(max_batch_);
        if (jobs.empty()) return; // closing, and drained
        run_batch(jobs);
        for (auto& job : jobs) job.finish();
        if (wal_pages_ - checkpointed_pages_ >= kForcedCheckpointPages) checkpoint();
    }
}

void Writer::run_batch(std::span<Job> jobs) {
    // Gives every success since `open` the error that undid it.
    const auto undo = [](std::span<Job> open, const Error& error) {
        for (auto& job : open)
            if (job.outcome) job.outcome = std::unexpected(error);
    };
    std::size_t open = 0; // first job of the transaction that is open
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        if (!connection_->in_transaction()) {
            if (i > open) undo(jobs.subspan(open, i - open), jobs[i - 1].outcome.error());
            open = i;
            if (auto begun = connection_->run("BEGIN IMMEDIATE"); !begun)
                return undo(jobs.subspan(i), begun.error());
        }
        jobs[i].outcome = run_one(jobs[i].work);
    }
    if (!connection_->in_transaction()) return undo(jobs.subspan(open), jobs.back().outcome.error());
    if (auto committed = connection_->run("COMMIT"); !committed) {
        log::error("the database could not commit", {{"error", to_string(committed.error())}});
        if (connection_->in_transaction()) (void)connection_->run("ROLLBACK");
        undo(jobs.subspan(open), committed.error());
    }
}

Result<void> Writer::run_one(Work& work) {
    CONSIGN_CHECK(connection_->run("SAVEPOINT s"));
    Result<void> outcome;
    try {
        outcome = work(*connection_);
    } catch (const std::exception& e) {
        outcome = fail(Code::internal, std::string("a database write threw: ") + e.what());
    } catch (...) {
        outcome = fail(Code::internal, "a database write threw something unnamed");
    }
    if (outcome && connection_->has_unresolved_foreign_keys())
        outcome = fail(Code::conflict, "database: a row refers to one that does not exist");
    if (outcome) outcome = connection_->run("RELEASE s");
    if (outcome || !connection_->in_transaction()) return outcome;
    auto undone = connection_->run("ROLLBACK TO s");
    if (undone) undone = connection_->run("RELEASE s");
    if (!undone) (void)connection_->run("ROLLBACK"); // no half of a closure may be committed with the others
    return outcome;
}

bool Writer::checkpoint_is_due() {
    if (wal_pages_ < checkpointed_pages_) checkpointed_pages_ = 0; // the WAL started over
    return wal_pages_ - checkpointed_pages_ >= kIdleCheckpointPages;
}

void Writer::checkpoint() {
    int total = 0, done = 0;
    // PASSIVE never waits for readers; a failure (disk full) leaves the WAL as it is, and the next one
    // retries.
    if (sqlite3_wal_checkpoint_v2(connection_->raw(), nullptr, SQLITE_CHECKPOINT_PASSIVE, &total, &done) ==
        SQLITE_OK)
        checkpointed_pages_ = done;
}

} // namespace consign::store
