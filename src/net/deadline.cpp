#include "net/deadline.hpp"

namespace consign::net {

DeadlineQueue& DeadlineQueue::of(Executor executor) {
    return asio::use_service<DeadlineQueue>(executor.context());
}

DeadlineQueue::DeadlineQueue(asio::io_context& context)
    : asio::io_context::service(context), timer_(context.get_executor()) {}

// The context is going away: frames that are destroyed from here on still take their entries out.
void DeadlineQueue::shutdown() noexcept {
    stopped_ = true;
    timer_.cancel();
}

DeadlineQueue::Entries::iterator DeadlineQueue::add(SteadyTime when, Expirable& target) {
    const auto entry = entries_.emplace(when, &target);
    if (when < armed_) arm();
    return entry;
}

void DeadlineQueue::remove(Entries::iterator entry) {
    entries_.erase(entry);
    // A timer left running would keep io_context::run() from returning. One that is merely early does
    // no harm: it finds nothing due and arms itself anew, which is cheaper than re-arming on every removal.
    if (entries_.empty() && armed_ != SteadyTime::max() && !stopped_) {
        armed_ = SteadyTime::max();
        timer_.cancel();
    }
}

void DeadlineQueue::arm() {
    if (stopped_) return;
    armed_ = entries_.begin()->first;
    timer_.expires_at(armed_);
    timer_.async_wait([this](boost::system::error_code error) {
        if (!error) fire();
    });
}

void DeadlineQueue::fire() {
    armed_ = SteadyTime::max();
    const auto now = std::chrono::steady_clock::now();
    while (!entries_.empty() && entries_.begin()->first <= now) {
        Expirable* target = entries_.begin()->second;
        entries_.erase(entries_.begin());
        target->expired();
    }
    if (!entries_.empty() && entries_.begin()->first < armed_) arm();
}

Deadline::Deadline(DeadlineQueue& queue, SteadyTime when, Expirable& target)
    : queue_(queue), relay_(target), armed_(when != SteadyTime::max()) {
    if (armed_) entry_ = queue_.add(when, relay_);
}

Deadline::~Deadline() {
    if (armed_ && !relay_.fired) queue_.remove(entry_);
}

} // namespace consign::net
