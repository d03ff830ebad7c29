#include "agent/redactor.hpp"
#include <algorithm>

namespace consign::agent {

void Redactor::add(std::string_view secret) {
    remember(secret);
    // Output comes line by line, so a key in PEM form is never seen whole.
    for (std::size_t at = 0; secret.find('\n') != secret.npos && at < secret.size();) {
        const auto end = std::min(secret.find('\n', at), secret.size());
        remember(secret.substr(at, end - at));
        at = end + 1;
    }
}

void Redactor::remember(std::string_view secret) {
    if (secret.ends_with('\r')) secret.remove_suffix(1);
    if (secret.size() < kShortest || std::ranges::find(secrets_, secret) != secrets_.end()) return;
    const auto longer = [&](const std::string& known) { return known.size() >= secret.size(); };
    secrets_.emplace(std::ranges::find_if_not(secrets_, longer), secret);
}

/// Where secrets are, merged where they touch or overlap; the first `known` bytes count as one.
std::vector<Redactor::Span> Redactor::spans(std::string_view text, std::size_t known) const {
    std::vector<Span> found;
    if (known > 0) found.push_back({0, std::min(known, text.size())});
    for (const auto& secret : secrets_)
        for (auto at = text.find(secret); at != text.npos; at = text.find(secret, at + 1))
            found.push_back({at, at + secret.size()});
    std::ranges::sort(found, {}, &Span::begin);
    std::vector<Span> merged;
    for (const Span& span : found) {
        if (!merged.empty() && span.begin < merged.back().end)
            merged.back().end = std::max(merged.back().end, span.end);
        else
            merged.push_back(span);
    }
    return merged;
}

/// Takes `size` bytes off the start of what is held. A secret across the cut leaves its mark now, and the
/// rest of it is remembered in `marked_`.
std::string Redactor::cut(std::size_t size) {
    std::string out;
    std::size_t at = 0, marked = 0;
    for (const Span& span : spans(held_, marked_)) {
        if (span.begin >= size) break;
        out.append(held_, at, span.begin - at);
        if (span.begin > 0 || marked_ == 0) out += kMark;
        at = std::min(span.end, size);
        marked = span.end - at;
    }
    out.append(held_, at, size - at);
    held_.erase(0, size);
    marked_ = marked;
    return out;
}

std::string Redactor::feed(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const auto newline = text.find('\n');
        const auto take = newline == text.npos ? text.size() : newline + 1;
        held_ += text.substr(0, take);
        text.remove_prefix(take);
        if (newline != text.npos && held_.ends_with('\n')) {
            out += cut(held_.size());
        } else if (held_.size() > kLongestLine) {
            // A secret that is not complete yet starts in the last (longest - 1) bytes: those wait.
            const auto tail = secrets_.empty() ? 0 : secrets_.front().size() - 1;
            if (held_.size() > tail) out += cut(held_.size() - tail);
        }
    }
    return out;
}

std::string Redactor::finish() { return cut(held_.size()); }

std::string Redactor::redact(std::string_view text) const {
    Redactor once;
    once.secrets_ = secrets_;
    once.held_ = text;
    return once.finish();
}

} // namespace consign::agent
