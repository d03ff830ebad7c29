#pragma once
#include "completion.hpp"
#include "connection.hpp"
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace consign::store {

/// Threads with a read-only connection each. A closure sees one snapshot from its first query on.
class Readers {
  public:
    using Work = std::function<Result<void>(Connection&)>;

    Readers(std::vector<std::unique_ptr<SqliteConnection>> connections, std::size_t max_queue);
    ~Readers(); ///< finishes what is queued
    Readers(const Readers&) = delete;
    Readers& operator=(const Readers&) = delete;

    void submit(Work work, Completion done); ///< any thread

  private:
    struct Job {
        Work work;
        Completion done;
    };
    void loop(SqliteConnection& connection);
    static Result<void> run_one(SqliteConnection& connection, Work& work);

    std::vector<std::unique_ptr<SqliteConnection>> connections_; // one per thread
    const std::size_t max_queue_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Job> queue_;
    bool closing_ = false;
    std::vector<std::thread> threads_; // last: they start when all the above is there
};

} // namespace consign::store
