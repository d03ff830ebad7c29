#pragma once
// Text for terminals. Names, errors and logs come from servers, agents and the software they run: none of it
// may move the cursor, change colours or reorder a line.
#include <cstddef>
#include <string>
#include <string_view>

namespace consign::cli {

/// `text` without control characters (C0, DEL, C1), bidirectional overrides and malformed UTF-8, which
/// becomes U+FFFD. Keeps '\n' and '\t' when asked to.
std::string printable(std::string_view text, bool keep_lines = false);

/// Columns that `text` takes on a terminal: 0 for combining marks, 2 for wide characters.
std::size_t display_width(std::string_view text);
/// Cut to at most `columns`, with "…" at the end when something was lost.
std::string fit_width(std::string_view text, std::size_t columns);

/// How many bytes at the end of `text` begin a UTF-8 character that is not complete yet (0..3).
std::size_t incomplete_tail(std::string_view text);

} // namespace consign::cli
