#pragma once
#include "consign/base/error.hpp"
#include <condition_variable>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>

namespace consign::install {

/// One operation at a time per component; different components do not wait for each other. Any thread.
class ComponentLocks {
  public:
    class Guard {
      public:
        Guard(ComponentLocks& locks, std::string component)
            : locks_(&locks), component_(std::move(component)) {}
        Guard(Guard&& other) noexcept
            : locks_(std::exchange(other.locks_, nullptr)), component_(std::move(other.component_)) {}
        Guard& operator=(Guard&&) = delete;
        ~Guard() {
            if (!locks_) return;
            const std::lock_guard hold(locks_->mutex_);
            locks_->busy_.erase(component_);
            locks_->changed_.notify_all();
        }

      private:
        ComponentLocks* locks_;
        std::string component_;
    };

    /// Waits for its turn; cancelled if `stop` comes first.
    Result<Guard> acquire(const std::string& component, std::stop_token stop) {
        std::unique_lock hold(mutex_);
        if (!changed_.wait(hold, std::move(stop), [&] { return !busy_.contains(component); }))
            return fail(Code::cancelled,
                        "cancelled while another operation on '" + component + "' was going on");
        busy_.insert(component);
        return Guard(*this, component);
    }

  private:
    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::set<std::string> busy_;
};

} // namespace consign::install
