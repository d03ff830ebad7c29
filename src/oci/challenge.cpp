#include "challenge.hpp"
#include <optional>

namespace consign::oci {

namespace {

bool is_token_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").contains(c);
}
bool is_token68_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-._~+/").contains(c);
}

/// What a quoted string may hold, escaped or not (RFC 9110 section 5.6.4).
bool is_quotable_char(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (auto& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

struct Cursor {
    std::string_view rest;

    void skip_space() {
        while (!rest.empty() && (rest.front() == ' ' || rest.front() == '\t')) rest.remove_prefix(1);
    }
    void skip_commas() {
        for (skip_space(); take(','); skip_space()) {
        }
    }
    bool take(char c) {
        if (!rest.starts_with(c)) return false;
        rest.remove_prefix(1);
        return true;
    }
    std::string_view token() {
        std::size_t size = 0;
        while (size < rest.size() && is_token_char(rest[size])) ++size;
        const auto out = rest.substr(0, size);
        rest.remove_prefix(size);
        return out;
    }
    std::optional<std::string> quoted() {
        if (!take('"')) return std::nullopt;
        std::string out;
        while (!rest.empty()) {
            char c = rest.front();
            rest.remove_prefix(1);
            if (c == '"') return out;
            if (c == '\\') {
                if (rest.empty()) return std::nullopt;
                c = rest.front();
                rest.remove_prefix(1);
            }
            if (!is_quotable_char(c)) return std::nullopt;
            out += c;
        }
        return std::nullopt;
    }
};

/// name [space] "=" [space] (token / quoted); leaves the cursor where it was when it is none.
std::optional<std::pair<std::string, std::string>> parameter(Cursor& cursor) {
    auto at = cursor;
    const auto name = at.token();
    at.skip_space();
    if (name.empty() || !at.take('=')) return std::nullopt;
    at.skip_space();
    std::string value;
    if (at.rest.starts_with('"')) {
        auto text = at.quoted();
        if (!text) return std::nullopt;
        value = std::move(*text);
    } else {
        value = at.token();
        if (value.empty()) return std::nullopt;
    }
    at.skip_space();
    if (!at.rest.empty() && !at.rest.starts_with(',')) return std::nullopt;
    cursor = at;
    return std::pair(lower(name), std::move(value));
}

std::string token68(Cursor& cursor) {
    auto at = cursor;
    std::size_t size = 0;
    while (size < at.rest.size() && is_token68_char(at.rest[size])) ++size;
    if (size == 0) return {};
    while (size < at.rest.size() && at.rest[size] == '=') ++size;
    std::string out(at.rest.substr(0, size));
    at.rest.remove_prefix(size);
    at.skip_space();
    if (!at.rest.empty() && !at.rest.starts_with(',')) return {};
    cursor = at;
    return out;
}

} // namespace

std::vector<Challenge> parse_challenges(std::string_view field) {
    std::vector<Challenge> out;
    Cursor cursor{field};
    for (;;) {
        cursor.skip_commas();
        Challenge challenge{.scheme = lower(cursor.token()), .parameters = {}, .token68 = {}};
        if (challenge.scheme.empty()) return out;
        const bool space = cursor.rest.starts_with(' ') || cursor.rest.starts_with('\t');
        if (!space && !cursor.rest.empty() && !cursor.rest.starts_with(',')) return out;
        cursor.skip_space();
        // A parameter list is comma-separated like the list of challenges around it: it goes on as long as
        // what follows a comma has the form name=value.
        while (auto item = parameter(cursor)) {
            challenge.parameters.insert(std::move(*item));
            auto next = cursor;
            next.skip_commas();
            if (auto ahead = next; !parameter(ahead)) break;
            cursor = next;
        }
        if (challenge.parameters.empty() && space) challenge.token68 = token68(cursor);
        out.push_back(std::move(challenge));
        cursor.skip_space();
        if (!cursor.rest.empty() && !cursor.rest.starts_with(',')) return out;
    }
}

std::string quoted_string(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (is_quotable_char(c)) out += c;
    }
    return out + '"';
}

std::string to_string(const Challenge& challenge) {
    auto out = challenge.scheme;
    if (!challenge.token68.empty()) return out + " " + challenge.token68;
    const char* separator = " ";
    for (const auto& [name, value] : challenge.parameters) {
        out += separator + name + "=" + quoted_string(value);
        separator = ",";
    }
    return out;
}

} // namespace consign::oci
