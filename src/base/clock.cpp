#include "consign/base/clock.hpp"
#include <format>
#include <optional>

namespace consign {
namespace {

using namespace std::chrono;

/// Takes what it reads off the front of a text; a part that does not fit yields nullopt.
struct Reader {
    std::string_view rest;

    std::optional<int> number(std::size_t digits) {
        if (rest.size() < digits) return std::nullopt;
        int value = 0;
        for (const char c : rest.substr(0, digits)) {
            if (c < '0' || c > '9') return std::nullopt;
            value = value * 10 + (c - '0');
        }
        rest.remove_prefix(digits);
        return value;
    }
    bool one_of(std::string_view allowed) {
        if (rest.empty() || allowed.find(rest.front()) == std::string_view::npos) return false;
        rest.remove_prefix(1);
        return true;
    }
};

/// Digits beyond milliseconds are cut off. nullopt: a '.' without a digit.
std::optional<Millis> read_fraction(Reader& in) {
    if (!in.one_of(".")) return Millis(0);
    int value = 0;
    int digits = 0;
    for (; !in.rest.empty() && in.rest.front() >= '0' && in.rest.front() <= '9'; in.rest.remove_prefix(1))
        if (digits < 3) {
            value = value * 10 + (in.rest.front() - '0');
            ++digits;
        } // more digits only move `rest`
    if (digits == 0) return std::nullopt;
    for (; digits < 3; ++digits) value *= 10;
    return Millis(value);
}

std::optional<minutes> read_offset(Reader& in) {
    if (in.one_of("Zz")) return minutes(0);
    const bool west = in.rest.starts_with('-');
    if (!in.one_of("+-")) return std::nullopt;
    const auto h = in.number(2);
    if (!h || *h > 23 || !in.one_of(":")) return std::nullopt;
    const auto m = in.number(2);
    if (!m || *m > 59) return std::nullopt;
    const minutes offset = hours(*h) + minutes(*m);
    return west ? -offset : offset;
}

std::optional<Time> read_time(Reader in) {
    const auto y = in.number(4);
    if (!y || !in.one_of("-")) return std::nullopt;
    const auto mo = in.number(2);
    if (!mo || !in.one_of("-")) return std::nullopt;
    const auto d = in.number(2);
    if (!d || !in.one_of("Tt ")) return std::nullopt;
    const year_month_day date(year(*y), month(static_cast<unsigned>(*mo)), day(static_cast<unsigned>(*d)));
    if (!date.ok()) return std::nullopt;

    const auto h = in.number(2);
    if (!h || *h > 23 || !in.one_of(":")) return std::nullopt;
    const auto mi = in.number(2);
    if (!mi || *mi > 59 || !in.one_of(":")) return std::nullopt;
    const auto s = in.number(2);
    if (!s || *s > 60) return std::nullopt; // 60: a leap second, the same instant here as the next second
    const auto fraction = read_fraction(in);
    if (!fraction) return std::nullopt;
    const auto offset = read_offset(in);
    if (!offset || !in.rest.empty()) return std::nullopt;
    return Time(sys_days(date)) + hours(*h) + minutes(*mi) + seconds(*s) + *fraction - *offset;
}

} // namespace

Time SystemClock::now() const { return time_point_cast<Millis>(system_clock::now()); }

std::string to_rfc3339(Time time) {
    const auto day_start = floor<days>(time);
    const year_month_day date(day_start);
    const hh_mm_ss clock(time - day_start);
    return std::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                       clock.subseconds().count());
}

Result<Time> parse_rfc3339(std::string_view text) {
    if (const auto time = read_time(Reader{text})) return *time;
    return fail(Code::invalid_argument, "'" + std::string(text.substr(0, 64)) + "' is not a time",
                "write it as in RFC 3339: 2026-01-31T12:00:00Z");
}

std::string humanize(Millis duration) {
    const auto value = duration < Millis(0) ? -duration : duration;
    if (value < seconds(1)) return std::format("{} ms", value.count());
    // A unit is used from twice its size on, or when it is exact: "90 s" says more than "1 min".
    const auto fits = [value](auto unit) { return value >= 2 * Millis(unit) || value == Millis(unit); };
    if (fits(days(1))) return std::format("{} d", floor<days>(value).count());
    if (fits(hours(1))) return std::format("{} h", floor<hours>(value).count());
    if (fits(minutes(1))) return std::format("{} min", floor<minutes>(value).count());
    return std::format("{} s", floor<seconds>(value).count());
}

} // namespace consign
