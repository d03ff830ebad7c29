#include "verified_tokens.hpp"
#include "consign/base/digest.hpp"
#include "consign/base/jwt.hpp"

namespace consign::ims {

namespace {
constexpr std::chrono::seconds kLeeway{60}; // of jwt::verify()
// Against what nobody thought of: sooner or later everything is verified again.
constexpr auto kAtMost = std::chrono::minutes(10);
} // namespace

Result<std::shared_ptr<const json::Value>> VerifiedTokens::verify(std::string_view token,
                                                                  const PublicKey& key, Time now) {
    auto name = sha256_hex(token);
    {
        const std::lock_guard lock(mutex_);
        const auto found = entries_.find(name);
        if (found != entries_.end() && now < found->second.good_until) return found->second.claims;
    }
    CONSIGN_TRY(claims, jwt::verify(token, key, now, kLeeway));
    Entry entry{.claims = std::make_shared<const json::Value>(std::move(claims)),
                .good_until = now + kAtMost};
    // verify() has seen that it is a number.
    if (const auto exp = entry.claims->find("exp"); exp != entry.claims->end()) {
        const auto seconds = exp->get<double>() + static_cast<double>(kLeeway.count());
        const auto left = seconds - static_cast<double>(to_millis(now)) / 1000;
        if (left < std::chrono::duration<double>(kAtMost).count())
            entry.good_until = now + std::chrono::milliseconds(static_cast<std::int64_t>(left * 1000));
    }
    const std::lock_guard lock(mutex_);
    if (entries_.size() >= limit_ && !entries_.contains(name)) {
        std::erase_if(entries_, [&](const auto& item) { return now >= item.second.good_until; });
        if (entries_.size() >= limit_) entries_.clear(); // each costs one verification to come back
    }
    auto out = entry.claims;
    entries_[std::move(name)] = std::move(entry);
    return out;
}

std::size_t VerifiedTokens::size() const {
    const std::lock_guard lock(mutex_);
    return entries_.size();
}

} // namespace consign::ims
