#include "consign/net/http.hpp"
#include <algorithm>
#include <array>

namespace consign::net {

namespace {
constexpr std::array<std::pair<Verb, std::string_view>, 6> kVerbs{{
    {Verb::get, "GET"},
    {Verb::head, "HEAD"},
    {Verb::post, "POST"},
    {Verb::put, "PUT"},
    {Verb::patch, "PATCH"},
    {Verb::delete_, "DELETE"},
}};

// HTTP's names are ASCII; the C locale functions would depend on the process's locale.
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_name(std::string_view a, std::string_view b) { return std::ranges::equal(a, b, {}, lower, lower); }

constexpr int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (lower(c) >= 'a' && lower(c) <= 'f') return lower(c) - 'a' + 10;
    return -1;
}

constexpr bool is_unreserved(char c) {
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

// A form's value: '+' is a space, and a stray '%' stands for itself, as in every browser.
std::string decode_form(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '+') {
            out += ' ';
        } else if (text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 &&
                   hex_value(text[i + 2]) >= 0) {
            out += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}
} // namespace

std::string_view name_of(Verb verb) {
    return std::ranges::find(kVerbs, verb, &std::pair<Verb, std::string_view>::first)->second;
}

std::optional<Verb> verb_from(std::string_view name) {
    const auto found = std::ranges::find(kVerbs, name, &std::pair<Verb, std::string_view>::second);
    return found == kVerbs.end() ? std::nullopt : std::optional(found->first);
}

std::string_view Headers::get(std::string_view name) const {
    for (const auto& [key, value] : items_)
        if (same_name(key, name)) return value;
    return {};
}

bool Headers::has(std::string_view name) const {
    return std::ranges::any_of(items_, [name](const auto& item) { return same_name(item.first, name); });
}

std::vector<std::string_view> Headers::all(std::string_view name) const {
    std::vector<std::string_view> values;
    for (const auto& [key, value] : items_)
        if (same_name(key, name)) values.emplace_back(value);
    return values;
}

void Headers::set(std::string_view name, std::string value) {
    std::erase_if(items_, [name](const auto& item) { return same_name(item.first, name); });
    items_.emplace_back(name, std::move(value));
}

void Headers::add(std::string_view name, std::string value) { items_.emplace_back(name, std::move(value)); }

Async<Result<std::string>> read_all(Source& source, std::size_t limit_bytes) {
    std::string out;
    for (;;) {
        // One byte of room past the limit tells "exactly at the limit" from "too large".
        constexpr std::size_t kStep = 16 * 1024;
        const std::size_t have = out.size();
        const std::size_t room = std::min(kStep, limit_bytes - have + 1);
        out.resize(have + room);
        auto got = co_await source.read(std::as_writable_bytes(std::span(out).subspan(have, room)));
        if (!got) co_return std::unexpected(std::move(got).error());
        out.resize(have + *got);
        if (*got == 0) {
            // Who reads a small body may keep it for as long as a poll is parked.
            if (out.capacity() / 2 > out.size()) out.shrink_to_fit();
            co_return out;
        }
        if (out.size() > limit_bytes)
            co_return fail(Code::too_large,
                           "the body is larger than " + std::to_string(limit_bytes) + " bytes");
    }
}

Query Query::parse(std::string_view text) {
    Query query;
    while (!text.empty()) {
        const auto end = std::min(text.find('&'), text.size());
        const auto item = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (item.empty()) continue;
        const auto equals = std::min(item.find('='), item.size());
        query.items_.emplace_back(decode_form(item.substr(0, equals)),
                                  decode_form(item.substr(std::min(equals + 1, item.size()))));
    }
    return query;
}

std::optional<std::string_view> Query::get(std::string_view name) const {
    for (const auto& [key, value] : items_)
        if (key == name) return value;
    return std::nullopt;
}

std::string Query::get_or(std::string_view name, std::string_view otherwise) const {
    return std::string(get(name).value_or(otherwise));
}

std::string percent_encode(std::string_view text) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        if (is_unreserved(c)) {
            out += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            out += {'%', kHex[byte >> 4], kHex[byte & 15]};
        }
    }
    return out;
}

std::optional<std::string> percent_decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        if (i + 2 >= text.size()) return std::nullopt;
        const int high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
        if (high < 0 || low < 0) return std::nullopt;
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

} // namespace consign::net
