#include "consign/net/router.hpp"
#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace consign::net {

namespace {
bool is_parameter(std::string_view segment) {
    return segment.size() > 2 && segment.starts_with('{') && segment.ends_with('}');
}

// "/a/b/" has the segments "a", "b", "": a trailing slash is a different path.
std::vector<std::string_view> segments_of(std::string_view path) {
    std::vector<std::string_view> segments;
    if (path.starts_with('/')) path.remove_prefix(1);
    for (;;) {
        const auto slash = path.find('/');
        segments.push_back(path.substr(0, slash));
        if (slash == std::string_view::npos) return segments;
        path.remove_prefix(slash + 1);
    }
}

bool fits(const std::vector<std::string>& pattern, const std::vector<std::string_view>& path) {
    return std::ranges::equal(pattern, path, [](std::string_view want, std::string_view have) {
        return is_parameter(want) ? !have.empty() : want == have;
    });
}

// "/v1/jobs/next" beats "/v1/jobs/{id}": the first difference decides, a literal before a parameter.
bool more_specific(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    for (std::size_t i = 0; i < a.size(); ++i)
        if (is_parameter(a[i]) != is_parameter(b[i])) return !is_parameter(a[i]);
    return false;
}

bool same_shape(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    return std::ranges::equal(a, b, [](std::string_view x, std::string_view y) {
        return is_parameter(x) ? is_parameter(y) : x == y;
    });
}
} // namespace

void Router::add(Verb verb, std::string_view pattern, std::size_t index) {
    Entry entry{verb, {}, index};
    for (const auto segment : segments_of(pattern)) entry.segments.emplace_back(segment);
    for (const auto& other : entries_) {
        if (other.verb == verb && same_shape(other.segments, entry.segments)) {
            std::fprintf(stderr, "two routes fit the same paths: %.*s\n", static_cast<int>(pattern.size()),
                         pattern.data());
            std::abort();
        }
    }
    entries_.push_back(std::move(entry));
}

Router::Match Router::match(Verb verb, std::string_view path) const {
    Match match;
    if (!path.starts_with('/')) return match;
    const auto segments = segments_of(path);
    const Entry* best = nullptr;
    for (const auto& entry : entries_) {
        if (!fits(entry.segments, segments)) continue;
        if (std::ranges::find(match.allowed, entry.verb) == match.allowed.end())
            match.allowed.push_back(entry.verb);
        if (entry.verb == verb && (!best || more_specific(entry.segments, best->segments))) best = &entry;
    }
    if (!best) return match;
    match.allowed.clear();
    for (std::size_t i = 0; i < segments.size(); ++i) {
        const std::string_view want = best->segments[i];
        if (!is_parameter(want)) continue;
        auto value = percent_decode(segments[i]);
        if (!value) return {}; // a broken escape names nothing
        match.params.insert_or_assign(std::string(want.substr(1, want.size() - 2)), std::move(*value));
    }
    match.index = best->index;
    return match;
}

} // namespace consign::net
