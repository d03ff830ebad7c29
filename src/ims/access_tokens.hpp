#pragma once
#include "directory.hpp"
#include <array>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>

namespace consign::ims {

/// Agents' access tokens whose signature was found right: an agent sends the same one with each request of an
/// hour, and verifying it costs as much as all the rest of a small request. Only that is remembered, and until
/// when the token is good; whether its agent was revoked is the caller's to ask. About 100 bytes a token. Any
/// thread.
class AccessTokens {
  public:
    explicit AccessTokens(std::size_t limit = 100'000) : limit_(limit) {}

    /// Whose it is; nothing: not known, or its time is over.
    std::optional<AgentId> holder(std::string_view token, Time now) const;
    void remember(std::string_view token, std::shared_ptr<const Presence> agent, Time good_until, Time now);
    std::size_t size() const;

  private:
    using Hash = std::array<std::byte, 32>; ///< SHA-256: the tokens themselves are not kept
    struct First8 {
        std::size_t operator()(const Hash& hash) const;
    };
    struct Entry {
        std::shared_ptr<const Presence> agent;
        Time good_until;
    };
    static Hash hash_of(std::string_view token);

    const std::size_t limit_;
    mutable std::mutex mutex_;
    std::unordered_map<Hash, Entry, First8> entries_;
};

} // namespace consign::ims
