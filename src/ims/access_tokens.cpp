#include "access_tokens.hpp"
#include "consign/base/digest.hpp"
#include <cstring>

namespace consign::ims {

std::size_t AccessTokens::First8::operator()(const Hash& hash) const {
    std::size_t out = 0;
    std::memcpy(&out, hash.data(), sizeof out);
    return out;
}

AccessTokens::Hash AccessTokens::hash_of(std::string_view token) {
    const auto bytes = sha256(as_bytes(token));
    Hash out{};
    std::memcpy(out.data(), bytes.data(), out.size());
    return out;
}

std::optional<AgentId> AccessTokens::holder(std::string_view token, Time now) const {
    const auto hash = hash_of(token);
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(hash);
    if (found == entries_.end() || now >= found->second.good_until) return std::nullopt;
    return found->second.agent->agent;
}

void AccessTokens::remember(std::string_view token, std::shared_ptr<const Presence> agent, Time good_until,
                            Time now) {
    const auto hash = hash_of(token);
    const std::lock_guard lock(mutex_);
    if (entries_.size() >= limit_ && !entries_.contains(hash)) {
        std::erase_if(entries_, [&](const auto& item) { return now >= item.second.good_until; });
        if (entries_.size() >= limit_) entries_.clear(); // each costs one verification to come back
    }
    entries_.insert_or_assign(hash, Entry{std::move(agent), good_until});
}

std::size_t AccessTokens::size() const {
    const std::lock_guard lock(mutex_);
    return entries_.size();
}

} // namespace consign::ims
