#pragma once
#include "consign/base/clock.hpp"
#include "consign/base/json.hpp"
#include "consign/base/keys.hpp"
#include <memory>
#include <mutex>
#include <unordered_map>

namespace consign::ims {

/// jwt::verify() that remembers: a client of the registry sends the same token with each of its requests, and
/// its signature costs more than all the rest of a small one. Only what can never change is remembered, that
/// the signature is right: the time is compared on every call, and whether the holder was revoked is the
/// caller's to ask. Any thread.
class VerifiedTokens {
  public:
    explicit VerifiedTokens(std::size_t limit = 1024) : limit_(limit) {}
    /// The claims, as jwt::verify() has them; the same errors.
    Result<std::shared_ptr<const json::Value>> verify(std::string_view token, const PublicKey& key, Time now);
    std::size_t size() const;

  private:
    struct Entry {
        std::shared_ptr<const json::Value> claims;
        Time good_until;
    };
    const std::size_t limit_; ///< of tokens remembered; some KiB each
    mutable std::mutex mutex_;
    std::unordered_map<std::string, Entry> entries_; ///< by the token's hash
};

} // namespace consign::ims
