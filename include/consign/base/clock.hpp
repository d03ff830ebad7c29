#pragma once
#include "consign/base/error.hpp"
#include <atomic>
#include <chrono>
#include <string>

namespace consign {

using Millis = std::chrono::milliseconds;
/// Wall-clock time, UTC, in milliseconds: what is stored and sent.
using Time = std::chrono::sys_time<Millis>;

class Clock {
  public:
    virtual ~Clock() = default;
    virtual Time now() const = 0; ///< any thread
};

class SystemClock final : public Clock {
  public:
    Time now() const override;
};

/// Stands still until told; any thread.
class ManualClock final : public Clock {
  public:
    explicit ManualClock(Time start = Time(Millis(1'700'000'000'000)))
        : millis_(start.time_since_epoch().count()) {}
    Time now() const override { return Time(Millis(millis_.load())); }
    void advance(Millis by) { millis_ += by.count(); }

  private:
    std::atomic<Millis::rep> millis_;
};

inline std::int64_t to_millis(Time time) { return time.time_since_epoch().count(); }
inline Time from_millis(std::int64_t millis) { return Time(Millis(millis)); }

std::string to_rfc3339(Time time); ///< "2026-01-31T12:00:00.000Z"
Result<Time> parse_rfc3339(std::string_view text);

/// "3 min", "45 s", "2 h": one unit, for people.
std::string humanize(Millis duration);

} // namespace consign
