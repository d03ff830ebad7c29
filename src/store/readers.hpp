#pragma once
#include "connection.hpp"
#include "work_queue.hpp"
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

    void submit(Work work, Completion done) { queue_.push(std::move(work), std::move(done)); } ///< any thread

  private:
    void loop(SqliteConnection& connection);
    static Result<void> run_one(SqliteConnection& connection, Work& work);

    std::vector<std::unique_ptr<SqliteConnection>> connections_; // one per thread
    WorkQueue<Work> queue_;
    std::vector<std::thread> threads_; // last: they start when all the above is there
};

} // namespace consign::store
