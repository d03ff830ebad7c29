#include "profile_file.hpp"
#include <algorithm>
#include <format>
#include <optional>

namespace consign::oci::aws {

namespace {

constexpr std::string_view kSpace = " \t\r\f\v";

std::string_view trim(std::string_view text) {
    const auto first = text.find_first_not_of(kSpace);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

/// What stands before a comment: '#' or ';' after white space.
std::string_view without_comment(std::string_view text) {
    for (std::size_t i = 1; i < text.size(); ++i)
        if ((text[i] == '#' || text[i] == ';') && kSpace.contains(text[i - 1])) return text.substr(0, i);
    return text;
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (auto& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

struct Section {
    std::string name = {};
    bool prefixed = false; ///< "[profile default]" beats "[default]"
};

/// The profile that "[…]" begins; nullopt: a section of another kind.
std::optional<Section> section_of(std::string_view inside, ProfileFileKind kind) {
    inside = trim(inside);
    if (kind == ProfileFileKind::credentials) return Section{.name = std::string(inside)};
    if (inside == "default") return Section{.name = "default"};
    constexpr std::string_view kPrefix = "profile";
    if (!inside.starts_with(kPrefix) || inside.size() == kPrefix.size() ||
        !kSpace.contains(inside[kPrefix.size()]))
        return std::nullopt;
    inside = trim(inside.substr(kPrefix.size()));
    if (inside.size() >= 2 && (inside.front() == '"' || inside.front() == '\'') &&
        inside.back() == inside.front())
        inside = inside.substr(1, inside.size() - 2);
    return Section{.name = std::string(inside), .prefixed = true};
}

class Reader {
  public:
    Reader(ProfileFileKind kind, std::string_view name) : kind_(kind), name_(name) {}

    Result<void> line(std::string_view text) {
        ++number_;
        const auto content = trim(text);
        if (content.empty() || content.front() == '#' || content.front() == ';') return {};
        if (kSpace.contains(text.front())) return continuation(content);
        if (content.front() == '[') return section(without_comment(content));
        return setting(content);
    }
    Profiles take() { return std::move(profiles_); }

  private:
    std::unexpected<Error> bad(std::string_view what) const {
        return fail(Code::invalid_argument, std::format("{}:{}: {}", name_, number_, what));
    }

    Result<void> section(std::string_view content) {
        content = trim(content);
        if (!content.ends_with(']')) return bad("a section ends with ']'");
        const auto found = section_of(content.substr(1, content.size() - 2), kind_);
        started_ = true;
        value_ = nullptr;
        profile_ = nullptr;
        if (!found) return {};
        if (found->name.empty()) return bad("the profile has no name");
        if (found->name == "default" && kind_ == ProfileFileKind::config) {
            if (!found->prefixed && prefixed_default_) return {};
            if (found->prefixed && !prefixed_default_) {
                profiles_.erase("default");
                prefixed_default_ = true;
            }
        }
        profile_ = &profiles_[found->name];
        return {};
    }

    Result<void> setting(std::string_view content) {
        const auto equals = content.find('=');
        if (equals == std::string_view::npos) return bad("expected [SECTION] or SETTING = VALUE");
        if (!started_) return bad("a setting before the first section");
        const auto name = lower(trim(content.substr(0, equals)));
        if (name.empty()) return bad("a value without a name");
        value_ = nullptr;
        if (!profile_) return {};
        // The space that makes a leading '#' a comment is the one before it: it must not be trimmed away
        // first.
        value_ = &(*profile_)[name];
        *value_ = trim(without_comment(content.substr(equals + 1)));
        return {};
    }

    /// More of a value. After an empty one the lines are settings of its own, none of which we know.
    Result<void> continuation(std::string_view content) {
        if (!started_) return bad("an indented line before the first section");
        if (value_ && !value_->empty()) *value_ += "\n" + std::string(content);
        return {};
    }

    const ProfileFileKind kind_;
    const std::string_view name_;
    Profiles profiles_;
    Profile* profile_ = nullptr;
    std::string* value_ = nullptr;
    std::size_t number_ = 0;
    bool started_ = false, prefixed_default_ = false;
};

} // namespace

Result<Profiles> parse_profiles(std::string_view text, ProfileFileKind kind, std::string_view name) {
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    Reader reader(kind, name);
    while (!text.empty()) {
        const auto line = text.substr(0, text.find('\n'));
        CONSIGN_CHECK(reader.line(line));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
    }
    return reader.take();
}

} // namespace consign::oci::aws
