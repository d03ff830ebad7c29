// What parses as a digest is exactly its text, fits its algorithm, and is safe as the name of a file.
#include "consign/base/digest.hpp"
#include <cstdint>
#include <cstdlib>

using namespace consign;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    if (const auto digest = Digest::parse(input)) {
        if (digest->str() != input) std::abort();
        const bool longer = digest->algorithm() == "sha512";
        if (!longer && digest->algorithm() != "sha256") std::abort();
        if (digest->hex().size() != (longer ? 128u : 64u)) std::abort();
        if (digest->hex().find_first_not_of("0123456789abcdef") != std::string_view::npos) std::abort();
    }
    // What we make ourselves parses, and does not depend on how the bytes came in.
    for (const std::string_view algorithm : {"sha256", "sha512"}) {
        Hasher whole(algorithm), parts(algorithm);
        whole.update(as_bytes(input));
        parts.update(as_bytes(input.substr(0, size / 3)));
        parts.update(as_bytes(input.substr(size / 3)));
        const auto made = whole.finish();
        if (made != parts.finish() || Digest::parse(made.str()) != made) std::abort();
    }
    return 0;
}
