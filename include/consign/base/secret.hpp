#pragma once
#include <string>
#include <utility>

namespace consign {

/// A value that must not be printed: no stream operator, no formatter, no comparison; wiped on destruction.
template <class T>
class Secret;

template <>
class Secret<std::string> {
  public:
    Secret() = default;
    explicit Secret(std::string value) : value_(std::move(value)) {}
    Secret(const Secret&) = default;
    Secret(Secret&& other) noexcept : value_(std::move(other.value_)) { other.wipe(); }
    Secret& operator=(const Secret& other) {
        if (this != &other) {
            wipe();
            value_ = other.value_;
        }
        return *this;
    }
    Secret& operator=(Secret&& other) noexcept {
        wipe();
        value_ = std::move(other.value_);
        other.wipe();
        return *this;
    }
    ~Secret() { wipe(); }

    /// The value, for the one place that sends or stores it.
    const std::string& reveal() const { return value_; }
    bool empty() const { return value_.empty(); }

  private:
    void wipe() noexcept;
    std::string value_;
};

} // namespace consign
