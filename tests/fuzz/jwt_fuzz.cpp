// No token but those we signed is accepted, what we sign comes back unchanged, and one flipped bit ends it.
#include "consign/base/json.hpp"
#include "consign/base/jwt.hpp"
#include <cstdlib>

using namespace consign;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const auto key = PrivateKey::generate();
    static const auto public_key = key.public_key();
    constexpr auto now = Time(Millis(1'700'000'000'000));
    const std::string_view text(reinterpret_cast<const char*>(data), size);

    // The key is fresh in each process: nothing in a corpus can carry its signature.
    if (jwt::verify(text, public_key, now)) std::abort();
    if (const auto claims = jwt::peek(text); claims && !claims->is_object()) std::abort();

    const auto claims = json::parse(text);
    if (!claims || !claims->is_object()) return 0;
    const auto token = jwt::sign(*claims, key);
    const auto peeked = jwt::peek(token);
    if (token.size() > 8 * 1024) {
        if (peeked) std::abort();
        return 0;
    }
    if (!peeked || *peeked != *claims) std::abort();
    const auto verified = jwt::verify(token, public_key, now);
    if (verified && *verified != *claims) std::abort();
    if (!verified && !claims->contains("exp") && !claims->contains("nbf") && !claims->contains("iat"))
        std::abort();

    auto changed = token;
    changed[size % changed.size()] ^= 1;
    if (jwt::verify(changed, public_key, now)) std::abort();
    return 0;
}
