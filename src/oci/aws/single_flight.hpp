#pragma once
#include "consign/base/clock.hpp"
#include "consign/base/log.hpp"
#include "consign/net/async.hpp"
#include <algorithm>
#include <boost/asio/as_tuple.hpp>

namespace consign::oci::aws {

/// A value that expires, fetched when it is needed and replaced before it ends: one fetch at a time, however
/// many ask. T has `std::optional<Time> expires_at`. On one executor's thread only.
template <class T>
class Kept {
  public:
    Kept(net::Executor executor, const Clock& clock)
        : clock_(clock), idle_(executor, net::SteadyTime::max()) {}

    /// What we have, or what `fetch()` gets. A fetch that fails is an error only when the old value has
    /// ended.
    template <class Fetch>
    net::Async<Result<T>> get(Fetch fetch) {
        while (busy_) {
            if (value_ && !ended()) co_return *value_; // good enough while somebody fetches the next
            co_await idle_.async_wait(net::asio::as_tuple(net::use_async));
            if (busy_ && co_await net::cancelled())
                co_return fail(Code::cancelled, "cancelled while waiting");
        }
        if (value_ && clock_.now() < renew_at_) co_return *value_;
        const Busy busy(*this);
        auto fetched = co_await fetch();
        if (!fetched && value_ && !ended()) {
            log::warn("cannot renew a credential; the old one is still good",
                      {{"error", to_string(fetched.error())}});
            renew_at_ = clock_.now() + kPause;
            co_return *value_;
        }
        if (!fetched) co_return std::unexpected(std::move(fetched).error());
        keep(std::move(*fetched));
        co_return *value_;
    }
    void forget() { value_.reset(); }

  private:
    // Enough for what was started with the old one to come to its end; of a short life, a quarter.
    static constexpr Millis kMargin = std::chrono::minutes(5);
    static constexpr Millis kPause = std::chrono::seconds(30);

    struct Busy {
        Kept& kept;
        explicit Busy(Kept& k) : kept(k) { kept.busy_ = true; }
        Busy(const Busy&) = delete;
        Busy& operator=(const Busy&) = delete;
        ~Busy() {
            kept.busy_ = false;
            kept.idle_.cancel();
        }
    };
    bool ended() const { return value_->expires_at && *value_->expires_at <= clock_.now(); }
    void keep(T fetched) {
        value_ = std::move(fetched);
        renew_at_ = Time::max();
        if (!value_->expires_at) return;
        const auto left = std::max(Millis(0), *value_->expires_at - clock_.now());
        renew_at_ = *value_->expires_at - std::min(kMargin, left / 4);
    }

    const Clock& clock_;
    std::optional<T> value_;
    Time renew_at_{};
    bool busy_ = false;
    net::Timer idle_; // cancelled when a fetch ends: wakes those that wait for it
};

} // namespace consign::oci::aws
