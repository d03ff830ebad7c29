#include "consign/base/id.hpp"
#include "consign/base/random.hpp"
#include <cstdint>
#include <mutex>

namespace consign {
namespace {

constexpr std::string_view kCrockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::uint64_t kMask40 = (std::uint64_t(1) << 40) - 1;
constexpr std::uint64_t kMask48 = (std::uint64_t(1) << 48) - 1;

/// The last ULID of this process: 48 bits of time, twice 40 random bits.
struct Ulid {
    std::uint64_t millis = 0;
    std::uint64_t high = 0;
    std::uint64_t low = 0;

    void randomize() {
        high = random_u64() & kMask40;
        low = random_u64() & kMask40;
    }
    /// The next larger value. Running out of 80 bits takes the next millisecond.
    void increment() {
        low = (low + 1) & kMask40;
        if (low != 0) return;
        high = (high + 1) & kMask40;
        if (high != 0) return;
        millis = (millis + 1) & kMask48;
        randomize();
    }
};

void append(std::string& out, std::uint64_t value, int characters) {
    for (int i = characters - 1; i >= 0; --i) out.push_back(kCrockford[(value >> (5 * i)) & 31]);
}

} // namespace

std::string new_ulid(Time now) {
    static std::mutex mutex;
    static Ulid last;

    const auto since_epoch = to_millis(now);
    const std::uint64_t millis = since_epoch < 0 ? 0 : static_cast<std::uint64_t>(since_epoch) & kMask48;
    Ulid made;
    {
        const std::lock_guard lock(mutex);
        if (millis > last.millis) {
            last.millis = millis;
            last.randomize();
        } else {
            last.increment(); // the same millisecond, or the clock was set back: the order matters more
        }
        made = last;
    }
    std::string out;
    out.reserve(26);
    append(out, made.millis, 10);
    append(out, made.high, 8);
    append(out, made.low, 8);
    return out;
}

bool is_ulid(std::string_view text) {
    // 26 characters hold 130 bits; a first one beyond '7' would not fit into 128.
    return text.size() == 26 && text[0] <= '7' &&
           text.find_first_not_of(kCrockford) == std::string_view::npos;
}

} // namespace consign
