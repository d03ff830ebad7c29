#pragma once
#include "completion.hpp"
#include "connection.hpp"
#include <condition_variable>
#include <deque>
#include <mutex>
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

    void submit(Work work, Completion done); ///< any thread

  private:
    struct Job {
        Work work;
        Completion done;
        Result<void> outcome = {};
    };
    void loop();
    std::vector<Job> take();
    void run_batch(std::span<Job> jobs);
    Result<void> run_one(Work& work);
    void checkpoint_if_due();
    static int on_commit(void* self, sqlite3*, const char*, int wal_pages);

    std::unique_ptr<SqliteConnection> connection_; // the thread's own
    int wal_pages_ = 0, checkpointed_pages_ = 0;   // the thread's own
    const std::size_t max_batch_, max_queue_;

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Job> queue_;
    bool closing_ = false;
    std::thread thread_; // last: starts when all the above is there
};

} // namespace consign::store
