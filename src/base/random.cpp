#include "consign/base/random.hpp"
#include <cerrno>
#include <cstdlib>
#include <sys/random.h>

namespace consign {
namespace {

void fill(void* out, std::size_t count) {
    auto* next = static_cast<std::byte*>(out);
    while (count > 0) {
        const auto got = ::getrandom(next, count, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) std::abort(); // without randomness every token would be guessable
        next += got;
        count -= static_cast<std::size_t>(got);
    }
}

} // namespace

Bytes random_bytes(std::size_t count) {
    Bytes out(count);
    fill(out.data(), count);
    return out;
}

std::uint64_t random_u64() {
    std::uint64_t out = 0;
    fill(&out, sizeof out);
    return out;
}

double random_unit() {
    return static_cast<double>(random_u64() >> 11) * 0x1p-53;
} // 53 bits: all a double has

std::string random_token(std::string_view prefix) {
    return std::string(prefix) + to_base64url(random_bytes(32));
}

} // namespace consign
