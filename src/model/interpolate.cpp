#include "consign/model/interpolate.hpp"
#include <algorithm>
#include <format>

namespace consign::model {
namespace {

constexpr std::string_view kOpen = "{{", kClose = "}}", kEscape = "{{{{";
constexpr std::string_view kEscapeHint = "a literal '{{' is written '{{{{'";
constexpr std::size_t kShown = 64; // a broken template can be a megabyte

std::string_view trim(std::string_view text) {
    const auto first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

bool is_path(std::string_view text) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '-' || c == '.';
    };
    return !text.empty() && std::ranges::all_of(text, allowed) && text.front() != '.' && text.back() != '.' &&
           !text.contains("..");
}

/// Hands literal pieces and paths to the two functions, in order.
template <class OnText, class OnPath>
Result<void> scan(std::string_view text, OnText on_text, OnPath on_path) {
    int line = 1;
    while (!text.empty()) {
        const auto open = text.find(kOpen);
        const auto literal = text.substr(0, open);
        on_text(literal);
        line += static_cast<int>(std::ranges::count(literal, '\n'));
        if (open == std::string_view::npos) break;
        text.remove_prefix(open);
        if (text.starts_with(kEscape)) {
            on_text(kOpen);
            text.remove_prefix(kEscape.size());
            continue;
        }
        const auto close = text.find(kClose, kOpen.size());
        if (close == std::string_view::npos)
            return fail(Code::invalid_argument,
                        std::format("line {}: '{{{{' is never closed with '}}}}'", line),
                        std::string(kEscapeHint));
        const auto inside = text.substr(kOpen.size(), close - kOpen.size());
        const auto path = trim(inside);
        if (!is_path(path))
            return fail(Code::invalid_argument,
                        std::format("line {}: '{}' is not a template path", line, path.substr(0, kShown)),
                        "a path is words joined by dots, such as {{ inputs.port }}; " +
                            std::string(kEscapeHint));
        CONSIGN_CHECK(on_path(path, line));
        line += static_cast<int>(std::ranges::count(inside, '\n'));
        text.remove_prefix(close + kClose.size());
    }
    return {};
}

} // namespace

Result<std::string> interpolate(std::string_view text, const Lookup& lookup) {
    std::string out;
    out.reserve(text.size());
    CONSIGN_CHECK(scan(
        text, [&](std::string_view literal) { out += literal; },
        [&](std::string_view path, int line) -> Result<void> {
            const auto value = lookup(path);
            if (!value)
                return fail(Code::invalid_argument, std::format("line {}: nothing is known by the path '{}'",
                                                                line, path.substr(0, kShown)));
            out += *value;
            return {};
        }));
    return out;
}

Result<std::vector<TemplatePath>> template_paths(std::string_view text) {
    std::vector<TemplatePath> paths;
    CONSIGN_CHECK(scan(
        text, [](std::string_view) {},
        [&](std::string_view path, int line) -> Result<void> {
            paths.push_back({std::string(path), line});
            return {};
        }));
    return paths;
}

} // namespace consign::model
