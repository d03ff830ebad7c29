#include "consign/net/backoff.hpp"
#include "consign/base/random.hpp"
#include <algorithm>

namespace consign::net {

Backoff::Backoff(std::chrono::milliseconds base, std::chrono::milliseconds cap, Random random)
    : base_(std::min(base, cap)), cap_(cap), previous_(base_),
      random_(random ? std::move(random) : random_unit) {}

std::chrono::milliseconds Backoff::next() {
    const auto low = static_cast<double>(base_.count());
    const auto high = std::max(low, 3.0 * static_cast<double>(previous_.count()));
    const auto pause = std::chrono::milliseconds(static_cast<std::int64_t>(low + random_() * (high - low)));
    return previous_ = std::clamp(pause, base_, cap_);
}

void Backoff::reset() { previous_ = base_; }

} // namespace consign::net
