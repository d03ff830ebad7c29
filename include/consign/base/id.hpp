#pragma once
#include "consign/base/clock.hpp"
#include <algorithm>
#include <compare>
#include <string>
#include <string_view>

namespace consign {

/// 26 characters of Crockford base32: 48 bits of milliseconds, 80 random bits. Sortable by time;
/// two made in one process in the same millisecond sort in the order they were made. Any thread.
std::string new_ulid(Time now);
bool is_ulid(std::string_view text);

template <std::size_t N>
struct IdPrefix {
    char text[N];
    constexpr IdPrefix(const char (&from)[N]) { std::copy_n(from, N, text); }
    constexpr std::string_view view() const { return {text, N - 1}; }
};

/// A typed id: "job_01J…". Ids of different kinds do not mix. Default-constructed: empty, names nothing.
template <IdPrefix Prefix>
class Id {
  public:
    static constexpr std::string_view prefix = Prefix.view();

    Id() = default;
    static Id make(Time now) { return Id(std::string(prefix) + "_" + new_ulid(now)); }
    static Result<Id> parse(std::string_view text) {
        if (text.starts_with(prefix) && text.size() == prefix.size() + 27 && text[prefix.size()] == '_' &&
            is_ulid(text.substr(prefix.size() + 1)))
            return Id(std::string(text));
        return fail(Code::invalid_argument, "'" + std::string(text.substr(0, 64)) +
                                                "' is not an id of the form " + std::string(prefix) +
                                                "_<ULID>");
    }
    /// For ids read back from our own store, which were checked when they went in.
    static Id trusted(std::string text) { return Id(std::move(text)); }

    const std::string& str() const { return text_; }
    bool empty() const { return text_.empty(); }
    explicit operator bool() const { return !text_.empty(); }
    auto operator<=>(const Id&) const = default;

  private:
    explicit Id(std::string text) : text_(std::move(text)) {}
    std::string text_;
};

using AppId = Id<"app">;
using BuildId = Id<"bld">;
using ReleaseId = Id<"rel">;
using InstallId = Id<"ins">;
using DeployId = Id<"dep">;
using JobId = Id<"job">;
using AgentId = Id<"agt">;
using SessionId = Id<"ses">;
using UserId = Id<"usr">;
using TokenId = Id<"tok">;

} // namespace consign

template <consign::IdPrefix Prefix>
struct std::hash<consign::Id<Prefix>> {
    std::size_t operator()(const consign::Id<Prefix>& id) const noexcept {
        return std::hash<std::string>{}(id.str());
    }
};
