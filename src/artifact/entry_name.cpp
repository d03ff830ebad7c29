#include "artifact/entry_name.hpp"
#include <algorithm>
#include <format>
#include <functional>

namespace consign::artifact {
namespace {

constexpr std::size_t kPartLimit = 255; // NAME_MAX
constexpr std::size_t kPrintLimit = 200;

/// The length of the well-formed UTF-8 sequence (Unicode 15, table 3-7) at the front of `text`, or 0.
std::size_t utf8_length(std::string_view text) {
    const auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
    const auto tail = [&](std::size_t i) { return (at(i) & 0xc0) == 0x80; };
    const unsigned first = at(0), second = at(1);
    if (first < 0x80) return text.empty() ? 0 : 1;
    if (first >= 0xc2 && first <= 0xdf) return tail(1) ? 2 : 0;
    if (first >= 0xe0 && first <= 0xef) {
        if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f))
            return 0; // overlong, surrogates
        return tail(1) && tail(2) ? 3 : 0;
    }
    if (first >= 0xf0 && first <= 0xf4) {
        if ((first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) return 0;
        return tail(1) && tail(2) && tail(3) ? 4 : 0;
    }
    return 0;
}

/// C0, DEL and C1 (which UTF-8 writes as c2 80 … c2 9f).
bool is_control(std::string_view sequence) {
    const auto first = static_cast<unsigned char>(sequence[0]);
    return first < 0x20 || first == 0x7f || (first == 0xc2 && static_cast<unsigned char>(sequence[1]) < 0xa0);
}

std::string fault_of_text(std::string_view text) {
    while (!text.empty()) {
        const auto length = utf8_length(text);
        if (length == 0) return "is not UTF-8";
        if (is_control(text.substr(0, length))) return "holds a control character";
        text.remove_prefix(length);
    }
    return "";
}

/// Calls `visit` with each part; stops at the first that gives a fault.
std::string each_part(std::string_view path, const std::function<std::string(std::string_view)>& visit) {
    for (;;) {
        const auto slash = path.find('/');
        if (auto fault = visit(path.substr(0, slash)); !fault.empty()) return fault;
        if (slash == std::string_view::npos) return "";
        path.remove_prefix(slash + 1);
    }
}

} // namespace

std::string fault_of_name(std::string_view name) {
    if (name.empty()) return "is empty";
    if (name.front() == '/') return "is absolute";
    if (name.size() > kNameLimit) return std::format("is longer than {} bytes", kNameLimit);
    if (auto fault = fault_of_text(name); !fault.empty()) return fault;
    return each_part(name, [](std::string_view part) -> std::string {
        if (part == "..") return "holds '..'";
        if (part.empty() || part == ".") return "holds an empty or '.' part";
        return part.size() > kPartLimit ? std::format("has a part longer than {} bytes", kPartLimit) : "";
    });
}

std::string fault_of_link(std::string_view name, std::string_view target) {
    if (target.empty()) return "is empty";
    if (target.front() == '/') return "is absolute";
    if (target.size() > kNameLimit) return std::format("is longer than {} bytes", kNameLimit);
    if (auto fault = fault_of_text(target); !fault.empty()) return fault;
    auto depth = std::ranges::count(name, '/'); // of the directory that holds the link
    bool named = false;
    return each_part(target, [&](std::string_view part) -> std::string {
        if (part != "..") {
            named = named || (!part.empty() && part != ".");
            return "";
        }
        if (named) return "has '..' after a name";
        return --depth < 0 ? "leaves the tree" : "";
    });
}

std::string printable(std::string_view name) {
    std::string out;
    while (!name.empty()) {
        if (out.size() > kPrintLimit) return out + "…";
        const auto length = utf8_length(name);
        if (length == 0 || is_control(name.substr(0, length))) {
            out += std::format("\\x{:02x}", static_cast<unsigned char>(name[0]));
            name.remove_prefix(1);
        } else {
            out += name.substr(0, length);
            name.remove_prefix(length);
        }
    }
    return out;
}

} // namespace consign::artifact
