#pragma once
#include "consign/base/clock.hpp"
#include "consign/base/json.hpp"
#include <ostream>
#include <string>
#include <vector>

namespace consign::cli {

/// Where results and messages go. Results: `out`. Progress, notes and errors: `err`.
struct Console {
    std::ostream* out = nullptr;
    std::ostream* err = nullptr;
    bool out_terminal = false;
    bool err_terminal = false;
    bool colour = false; ///< wanted; used only on a stream that is a terminal
};

enum class Tone { plain, strong, faint, good, bad, busy };
/// `text` in the tone's colour, or as it is.
std::string toned(std::string_view text, Tone tone, bool colour);
/// The tone of a state's name: succeeded, running, failed, …
Tone tone_of(std::string_view state);

struct Cell {
    std::string text; ///< printed through printable()
    Tone tone = Tone::plain;

    Cell(const char* value, Tone t = Tone::plain) : text(value), tone(t) {}
    Cell(std::string value, Tone t = Tone::plain) : text(std::move(value)), tone(t) {}
    Cell(std::string_view value, Tone t = Tone::plain) : text(value), tone(t) {}
    Cell(std::integral auto number) : text(std::to_string(number)) {}
};

/// Columns aligned by display width, two spaces apart; the last one is not padded.
class Table {
  public:
    explicit Table(std::vector<std::string> header) : header_(std::move(header)) {}
    void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
    bool empty() const { return rows_.empty(); }
    std::string text(bool colour) const;

  private:
    std::vector<std::string> header_;
    std::vector<std::vector<Cell>> rows_;
};

/// "name  value" lines about one thing; empty values are left out.
class Details {
  public:
    Details& add(std::string_view name, Cell value);
    std::string text(bool colour) const;

  private:
    std::vector<std::pair<std::string, Cell>> lines_;
};

/// "now", "3 min ago", "in 2 h"; "" for nothing.
std::string ago(std::optional<Time> time, Time now);
/// How long from `start` to `end` (or `now`): "12 s"; "" when it has not begun.
std::string duration(std::optional<Time> start, std::optional<Time> end, Time now);
/// "sha256:0123456789ab"
std::string short_digest(const Digest& digest);
/// "12 MiB"
std::string human_size(std::uint64_t bytes);

/// The JSON of a value as -o json prints it: indent 2; on a terminal every control character is escaped.
std::string json_text(const json::Value& value, bool terminal);

} // namespace consign::cli
