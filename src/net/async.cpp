#include "consign/net/async.hpp"
#include "consign/base/log.hpp"
#include "net/deadline.hpp"
#include "net/gate.hpp"
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <cstdlib>
#include <list>
#include <vector>

namespace consign::net {

Async<bool> cancelled() {
    co_return (co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none;
}

namespace {
struct Alarm final : Expirable {
    Gate gate;
    void expired() override { gate.open(); }
};
} // namespace

Async<void> sleep_until(SteadyTime deadline) {
    const Executor executor = co_await asio::this_coro::executor;
    Alarm alarm;
    const Deadline armed(DeadlineQueue::of(executor), deadline, alarm);
    co_await alarm.gate.wait();
}

Async<void> sleep_for(std::chrono::milliseconds duration) {
    return sleep_until(std::chrono::steady_clock::now() + duration);
}

struct TaskGroup::State {
    explicit State(Executor on) : executor(on) {}
    Executor executor;
    std::list<asio::cancellation_signal> children;
    std::vector<Gate*> joiners;
    bool stopping = false;

    void ended(std::list<asio::cancellation_signal>::iterator child) {
        children.erase(child);
        if (!children.empty()) return;
        for (Gate* joiner : joiners) joiner->open();
        joiners.clear();
    }
};

TaskGroup::TaskGroup(Executor executor) : state_(std::make_shared<State>(executor)) {}

TaskGroup::~TaskGroup() {
    // A child that outlives its group would use what its owner has destroyed: that is a bug, found here
    // rather than later. A context that was stopped never runs its children again, so they are harmless.
    if (state_ && !state_->children.empty() && !state_->executor.context().stopped()) {
        log::error("a task group was destroyed before its children ended");
        std::abort();
    }
}

namespace {
// Cancellation is a value (Code::cancelled, Wake::gone, cancelled()), not an exception that unwinds
// from an unrelated co_await.
Async<void> without_throwing(Async<void> child) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await std::move(child);
}

void log_failure(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const std::exception& e) {
        log::error("a background task failed", {{"error", e.what()}});
    } catch (...) {
        log::error("a background task failed");
    }
}
} // namespace

void TaskGroup::spawn(Async<void> child) {
    auto state = state_;
    const auto signal = state->children.emplace(state->children.end());
    asio::co_spawn(state->executor, without_throwing(std::move(child)),
                   asio::bind_cancellation_slot(signal->slot(), [state, signal](std::exception_ptr failure) {
                       if (failure) log_failure(failure);
                       state->ended(signal);
                   }));
    if (state->stopping) signal->emit(asio::cancellation_type::terminal);
}

// The waits of this layer resume their coroutines by posting, so no child ends while we walk the list.
void TaskGroup::stop() {
    state_->stopping = true;
    for (auto& signal : state_->children) signal.emit(asio::cancellation_type::terminal);
}

Async<void> TaskGroup::join() {
    auto state = state_;
    while (!state->children.empty()) {
        Gate ended;
        state->joiners.push_back(&ended);
        co_await ended.wait_uncancelled();
    }
}

std::size_t TaskGroup::size() const { return state_->children.size(); }

} // namespace consign::net
