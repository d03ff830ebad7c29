#pragma once
#include <chrono>
#include <functional>

namespace consign::net {

/// Decorrelated jitter: each pause is uniform in [base, 3 × previous], at most `cap`. Pure: the random
/// source is given, so that tests and simulations can replay it.
class Backoff {
  public:
    using Random = std::function<double()>; ///< uniform in [0, 1)
    explicit Backoff(std::chrono::milliseconds base = std::chrono::milliseconds(500),
                     std::chrono::milliseconds cap = std::chrono::seconds(30), Random random = {});
    std::chrono::milliseconds next();
    void reset();

  private:
    std::chrono::milliseconds base_, cap_, previous_;
    Random random_;
};

} // namespace consign::net
