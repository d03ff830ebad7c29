#include "consign/base/json.hpp"
#include <algorithm>

namespace consign::json {
namespace {

constexpr int kDepthLimit = 64;

/// "line 3, column 7" of the character at `offset`.
std::string position(std::string_view text, std::size_t offset) {
    const auto before = text.substr(0, offset);
    const auto line = std::ranges::count(before, '\n') + 1;
    const auto newline = before.rfind('\n');
    const auto column = newline == std::string_view::npos ? before.size() + 1 : before.size() - newline;
    return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

/// Where the nesting first exceeds the limit. A scan of its own, because nlohmann's parser callback, the
/// other way to learn the depth, walks all siblings at the end of each object: quadratic time on
/// "[{},{},…", which is what a hostile body looks like. Exact up to the first syntax error, where the
/// parser stops anyway.
std::optional<std::size_t> too_deep_at(std::string_view text) {
    int depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\')
                ++i;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > kDepthLimit) return i;
        } else if (c == ']' || c == '}') {
            --depth;
        }
    }
    return std::nullopt;
}

/// The reason in nlohmann's text, without its position (ours is enough) and without the piece of input
/// it quotes, which may be a secret.
std::string reason(std::string_view what) {
    if (const auto at = what.find("] "); at != std::string_view::npos) what.remove_prefix(at + 2);
    if (what.starts_with("parse error"))
        if (const auto at = what.find(": "); at != std::string_view::npos) what.remove_prefix(at + 2);
    const auto quoted = what.find("; last read: ");
    std::string out(what.substr(0, quoted));
    // The piece itself may hold anything but cannot hide this last part.
    const auto expected = what.rfind("; expected ");
    if (quoted != std::string_view::npos && expected != std::string_view::npos && expected > quoted)
        out += what.substr(expected);
    return out;
}

} // namespace

Result<Value> parse(std::string_view text) {
    if (const auto at = too_deep_at(text))
        return fail(Code::invalid_argument, "malformed JSON at " + position(text, *at) +
                                                ": nested deeper than " + std::to_string(kDepthLimit) +
                                                " levels");
    try {
        return Value::parse(text);
    } catch (const nlohmann::json::parse_error& error) {
        const auto offset = error.byte > 0 ? error.byte - 1 : 0; // it counts from 1
        return fail(Code::invalid_argument, "malformed JSON at " +
                                                position(text, std::min(offset, text.size())) + ": " +
                                                reason(error.what()));
    } catch (const nlohmann::json::exception& error) { // a number beyond the range of a double
        return fail(Code::invalid_argument, "malformed JSON: " + reason(error.what()));
    }
}

std::string dump(const Value& value, int indent) {
    return value.dump(indent, ' ', false, Value::error_handler_t::replace);
}

namespace detail {

std::string kind_of(const Value& value) {
    switch (value.type()) {
    case Value::value_t::null:
        return "null";
    case Value::value_t::object:
        return "an object";
    case Value::value_t::array:
        return "an array";
    case Value::value_t::string:
        return "a string";
    case Value::value_t::boolean:
        return value.get<bool>() ? "true" : "false";
    case Value::value_t::number_integer:
    case Value::value_t::number_unsigned:
        return "an integer";
    case Value::value_t::number_float:
        return "a number";
    case Value::value_t::binary:
    case Value::value_t::discarded:
        break;
    }
    return "something that is not JSON";
}

std::string child(std::string_view path, std::string_view key) {
    // A member's name can come from outside: keep the path readable however long it is.
    const auto name = std::string(key.substr(0, 64));
    return path.empty() ? name : std::string(path) + "." + name;
}

std::string child(std::string_view path, std::size_t index) {
    return std::string(path) + "[" + std::to_string(index) + "]";
}

Error mismatch(std::string_view path, std::string_view expected, const Value& got) {
    return problem(path, "expected " + std::string(expected) + ", got " + kind_of(got));
}

Error problem(std::string_view path, std::string_view what) {
    const std::string where(path.empty() ? "the document" : path);
    // "leases[2].epoch is missing", but "leases[2].epoch: expected an integer, got a string"
    const std::string_view link = what.starts_with("is ") ? " " : ": ";
    return Error{Code::invalid_argument, where + std::string(link) + std::string(what)};
}

} // namespace detail
} // namespace consign::json
