#pragma once
#include "consign/base/bytes.hpp"
#include <cstdint>

namespace consign {

/// From the kernel's CSPRNG (getrandom); aborts where there is none. Any thread.
Bytes random_bytes(std::size_t count);
std::uint64_t random_u64();
/// Uniform in [0, 1): for jitter, never for secrets.
double random_unit();
/// `prefix` and 32 random bytes in base64url: 256 bits, so a plain SHA-256 is a safe way to store it.
std::string random_token(std::string_view prefix);

} // namespace consign
