#include "oci/challenge.hpp"
#include <cstdint>
#include <cstdlib>

using namespace consign;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    for (const auto& challenge : oci::parse_challenges(input)) {
        const auto again = oci::parse_challenges(oci::to_string(challenge));
        if (again.size() != 1 || again[0] != challenge) std::abort();
    }
    return 0;
}
