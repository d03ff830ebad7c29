#pragma once
#include "connection.hpp"
#include "work_queue.hpp"
#include <span>
#include <thread>

namespace consign::store {

/// The one thread that writes. Takes what is queued, commits it together, then answers.
class Writer {
  public:
    using Work = std::function<Result<void>(Transaction&)>;

    Writer(std::unique_ptr<SqliteConnection> connection, std::size_t max_batch, std::size_t max_queue);
    ~Writer(); ///< finishes what is queued
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    void submit(Work work, Completion done) { queue_.push(std::move(work), std::move(done)); } ///< any thread

  private:
    using Job = WorkQueue<Work>::Job;
    void loop();
    void run_batch(std::span<Job> jobs);
    Result<void> run_one(Work& work);
    bool checkpoint_is_due();
    void checkpoint();
    static int on_commit(void* self, sqlite3*, const char*, int wal_pages);

    std::unique_ptr<SqliteConnection> connection_; // the thread's own
    int wal_pages_ = 0, checkpointed_pages_ = 0;   // the thread's own
    const std::size_t max_batch_;
    WorkQueue<Work> queue_;
    std::thread thread_; // last: starts when all the above is there
};

} // namespace consign::store
