#include "dispatcher.hpp"
#include <algorithm>

namespace consign::ims {

Dispatcher::Place::Place(Dispatcher& dispatcher, Presence& presence)
    : dispatcher_(dispatcher), presence_(presence) {}

Dispatcher::Place::~Place() { leave(); }

void Dispatcher::Place::leave() {
    bool pass_on = false;
    {
        std::lock_guard lock(dispatcher_.mutex_);
        pass_on = std::exchange(woken_, false);
        if (std::exchange(queued_, false)) {
            const auto line = dispatcher_.parked_.find(presence_.pool);
            std::erase(line->second, this);
            if (line->second.empty()) dispatcher_.parked_.erase(line);
        }
    }
    if (pass_on) dispatcher_.wake(presence_.pool, 1);
}

void Dispatcher::Place::enter() {
    std::lock_guard lock(dispatcher_.mutex_);
    if (!std::exchange(queued_, true)) dispatcher_.parked_[presence_.pool].push_back(this);
}

void Dispatcher::Place::answered() {
    std::lock_guard lock(dispatcher_.mutex_);
    // Woken again since it stood in the line anew, it is not in the line now: that wake-up is for the next look.
    if (queued_) woken_ = false;
}

void Dispatcher::wake(const Pool& pool, int jobs) {
    std::lock_guard lock(mutex_);
    const auto line = parked_.find(pool);
    if (line == parked_.end()) {
        backlog_.insert(pool);
        return;
    }
    for (; jobs > 0 && !line->second.empty(); --jobs) {
        Place* place = line->second.front(); // who has waited longest
        line->second.pop_front();
        place->queued_ = false;
        place->woken_ = true;
        place->presence_.mailbox.notify();
    }
    if (jobs > 0) backlog_.insert(pool);
    if (line->second.empty()) parked_.erase(line);
}

bool Dispatcher::has_backlog(const Pool& pool) {
    std::lock_guard lock(mutex_);
    return backlog_.contains(pool);
}

void Dispatcher::no_backlog(const Pool& pool) {
    std::lock_guard lock(mutex_);
    backlog_.erase(pool);
}

} // namespace consign::ims
