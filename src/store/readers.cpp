#include "readers.hpp"
#include <exception>
#include <format>

namespace consign::store {

Readers::Readers(std::vector<std::unique_ptr<SqliteConnection>> connections, std::size_t max_queue)
    : connections_(std::move(connections)), max_queue_(max_queue) {
    for (auto& connection : connections_)
        threads_.emplace_back([this, own = connection.get()] { loop(*own); });
}

Readers::~Readers() {
    {
        const std::lock_guard lock(mutex_);
        closing_ = true;
    }
    wake_.notify_all();
    for (auto& thread : threads_) thread.join();
}

void Readers::submit(Work work, Completion done) {
    {
        const std::lock_guard lock(mutex_);
        if (!closing_ && queue_.size() < max_queue_) {
            queue_.push_back({std::move(work), std::move(done)});
            wake_.notify_one();
            return;
        }
    }
    work = nullptr;
    done(fail(Code::rate_limited, std::format("the database has {} reads waiting", max_queue_),
              "try again in a moment"));
}

void Readers::loop(SqliteConnection& connection) {
    for (;;) {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return closing_ || !queue_.empty(); });
        if (queue_.empty()) return; // closing, and drained
        Job job = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        auto outcome = run_one(connection, job.work);
        job.work = nullptr; // whatever it holds dies before its caller goes on
        job.done(std::move(outcome));
    }
}

Result<void> Readers::run_one(SqliteConnection& connection, Work& work) {
    CONSIGN_CHECK(connection.run("BEGIN"));
    Result<void> outcome;
    try {
        outcome = work(connection);
    } catch (const std::exception& e) {
        outcome = fail(Code::internal, std::string("a database read threw: ") + e.what());
    } catch (...) {
        outcome = fail(Code::internal, "a database read threw something unnamed");
    }
    if (connection.in_transaction()) (void)connection.run("ROLLBACK");
    return outcome;
}

} // namespace consign::store
