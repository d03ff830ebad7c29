#include "net/gate.hpp"
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

namespace consign::net {

Async<void> Gate::wait() {
    if (open_ || co_await cancelled()) co_return;
    co_await suspend(true);
}

Async<void> Gate::wait_uncancelled() {
    if (open_) co_return;
    co_await suspend(false);
}

Async<void> Gate::suspend(bool cancellable) {
    return asio::async_initiate<const asio::use_awaitable_t<Executor>&, void()>(
        [this, cancellable](Waiter waiter) {
            if (auto slot = asio::get_associated_cancellation_slot(waiter);
                cancellable && slot.is_connected())
                slot.assign([this](asio::cancellation_type) { resume(); });
            waiter_.emplace(std::move(waiter));
        },
        use_async);
}

void Gate::open() {
    open_ = true;
    resume();
}

// Posted, never run inline: the opener, and a cancellation's emitter, go on before the waiter does.
void Gate::resume() {
    if (!waiter_) return;
    Waiter waiter = std::move(*waiter_);
    waiter_.reset();
    asio::post(std::move(waiter));
}

} // namespace consign::net
