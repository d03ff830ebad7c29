#include "cli/output.hpp"
#include "cli/text.hpp"
#include <algorithm>
#include <format>

namespace consign::cli {
namespace {

std::string_view escape_of(Tone tone) {
    switch (tone) {
    case Tone::plain:
        return "";
    case Tone::strong:
        return "\x1b[1m";
    case Tone::faint:
        return "\x1b[2m";
    case Tone::good:
        return "\x1b[32m";
    case Tone::bad:
        return "\x1b[31m";
    case Tone::busy:
        return "\x1b[36m";
    }
    return "";
}

std::string padding(std::size_t width, std::size_t wanted) {
    return std::string(wanted > width ? wanted - width : 0, ' ');
}

void add_line(std::string& out, const std::vector<Cell>& cells, const std::vector<std::size_t>& widths,
              bool colour) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
        const auto text = printable(cells[i].text);
        line += toned(text, cells[i].tone, colour);
        if (i + 1 < cells.size()) line += padding(display_width(text), widths[i]) + "  ";
    }
    while (line.ends_with(' ')) line.pop_back();
    out += line + "\n";
}

} // namespace

std::string toned(std::string_view text, Tone tone, bool colour) {
    const auto escape = escape_of(tone);
    if (!colour || escape.empty() || text.empty()) return std::string(text);
    return std::string(escape) + std::string(text) + "\x1b[0m";
}

Tone tone_of(std::string_view state) {
    if (state == "succeeded" || state == "online") return Tone::good;
    if (state == "failed" || state == "timed_out" || state == "rolled_back" || state == "revoked")
        return Tone::bad;
    if (state == "running" || state == "leased") return Tone::busy;
    if (state == "cancelled" || state == "skipped" || state == "absent" || state == "offline")
        return Tone::faint;
    return Tone::plain;
}

std::string Table::text(bool colour) const {
    std::vector<std::size_t> widths;
    for (const auto& title : header_) widths.push_back(display_width(title));
    for (const auto& row : rows_)
        for (std::size_t i = 0; i < std::min(row.size(), widths.size()); ++i)
            widths[i] = std::max(widths[i], display_width(printable(row[i].text)));
    std::vector<Cell> titles;
    for (const auto& title : header_) titles.emplace_back(title, Tone::strong);
    std::string out;
    add_line(out, titles, widths, colour);
    for (const auto& row : rows_) add_line(out, row, widths, colour);
    return out;
}

Details& Details::add(std::string_view name, Cell value) {
    if (!value.text.empty()) lines_.emplace_back(name, std::move(value));
    return *this;
}

std::string Details::text(bool colour) const {
    std::vector<std::size_t> widths{0};
    for (const auto& [name, value] : lines_) widths[0] = std::max(widths[0], display_width(name));
    std::string out;
    for (const auto& [name, value] : lines_) add_line(out, {Cell(name, Tone::faint), value}, widths, colour);
    return out;
}

std::string ago(std::optional<Time> time, Time now) {
    if (!time) return {};
    const auto distance = now - *time;
    if (distance < Millis(0) && -distance > std::chrono::seconds(5)) return "in " + humanize(-distance);
    if (distance < std::chrono::seconds(2)) return "now";
    return humanize(distance) + " ago";
}

std::string duration(std::optional<Time> start, std::optional<Time> end, Time now) {
    if (!start) return {};
    // The server's clock and ours may differ a little: never a negative time.
    return humanize(std::max(end.value_or(now) - *start, Millis(0)));
}

std::string short_digest(const Digest& digest) {
    return digest.empty() ? ""
                          : std::string(digest.algorithm()) + ":" + std::string(digest.hex().substr(0, 12));
}

std::string human_size(std::uint64_t bytes) {
    constexpr std::string_view kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = static_cast<double>(bytes);
    std::size_t unit = 0;
    for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
    return unit == 0 || value >= 10 ? std::format("{:.0f} {}", value, kUnits[unit])
                                    : std::format("{:.1f} {}", value, kUnits[unit]);
}

std::string json_text(const json::Value& value, bool terminal) {
    std::string text = json::dump(value, 2);
    if (!terminal) return text;
    // The dump escapes C0. What else a terminal obeys is all beyond ASCII, so inside strings: \u escapes keep
    // it JSON.
    if (printable(text, true) == text) return text;
    return value.dump(2, ' ', true, json::Value::error_handler_t::replace);
}

} // namespace consign::cli
