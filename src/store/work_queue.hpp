#pragma once
#include "completion.hpp"
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <format>
#include <functional>
#include <mutex>
#include <vector>

namespace consign::store {

/// What waits for the threads of one connection kind, oldest first. Bounded: a database that cannot keep up
/// refuses instead of growing. Any thread.
template <class Work>
class WorkQueue {
  public:
    struct Job {
        Work work;
        Completion done;
        Result<void> outcome = {};

        /// Answers. Whatever the work holds dies before its caller goes on.
        void finish() {
            work = nullptr;
            const auto answer = std::move(done); // and is gone at the end: it holds a visit to the caller's context
            answer(std::move(outcome));
        }
    };

    /// `what` waits here, for the message of a refusal: "reads".
    WorkQueue(std::size_t limit, const char* what) : limit_(limit), what_(what) {}

    /// Beyond the limit, or once closed, it is answered with rate_limited here and now.
    void push(Work work, Completion done) {
        {
            const std::lock_guard lock(mutex_);
            if (!closed_ && jobs_.size() < limit_) {
                jobs_.push_back({std::move(work), std::move(done)});
                work = nullptr; // a std::function that was moved from may still hold what it held
                wake_.notify_one();
                return;
            }
        }
        work = nullptr;
        done(fail(Code::rate_limited, std::format("the database has {} {} waiting", limit_, what_),
                  "try again in a moment"));
    }

    /// Waits until there are some, then the `most` oldest (>= 1). None: closed, and drained.
    std::vector<Job> take(std::size_t most) {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return closed_ || !jobs_.empty(); });
        const auto end = jobs_.begin() + static_cast<std::ptrdiff_t>(std::min(jobs_.size(), most));
        std::vector<Job> out(std::make_move_iterator(jobs_.begin()), std::make_move_iterator(end));
        jobs_.erase(jobs_.begin(), end);
        return out;
    }

    /// Whether nothing comes for that long.
    bool idle_for(std::chrono::milliseconds patience) {
        std::unique_lock lock(mutex_);
        return !wake_.wait_for(lock, patience, [this] { return closed_ || !jobs_.empty(); });
    }

    void close() {
        {
            const std::lock_guard lock(mutex_);
            closed_ = true;
        }
        wake_.notify_all();
    }

  private:
    const std::size_t limit_;
    const char* const what_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Job> jobs_;
    bool closed_ = false;
};

} // namespace consign::store
