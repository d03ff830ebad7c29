#pragma once
#include "consign/base/error.hpp"
#include "consign/net/backoff.hpp"
#include <condition_variable>
#include <format>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string_view>

namespace consign::build {

/// A transfer may be repeated without harm, and a registry that restarts is back within this time. Longer
/// outages fail the build: somebody should look.
inline constexpr std::chrono::seconds kPatience{120};

/// Repeats `transfer` while its error may pass, with growing pauses, and says so in the log. Blocks.
template <class T>
Result<T> patiently(std::string_view what, const std::function<void(std::string_view)>& log,
                    const std::stop_token& stop, const std::function<Result<T>()>& transfer,
                    std::chrono::milliseconds patience = kPatience) {
    net::Backoff backoff;
    const auto until = std::chrono::steady_clock::now() + patience;
    for (;;) {
        auto done = transfer();
        if (done || stop.stop_requested()) return done;
        const Code code = done.error().code;
        const bool may_pass =
            code == Code::unavailable || code == Code::timed_out || code == Code::rate_limited;
        const auto pause = backoff.next();
        if (!may_pass || std::chrono::steady_clock::now() + pause > until) return done;
        log(std::format("{}: {}; trying again\n", what, done.error().message));
        std::mutex mutex;
        std::unique_lock lock(mutex);
        std::condition_variable_any().wait_for(lock, stop, pause, [] { return false; });
    }
}

} // namespace consign::build
