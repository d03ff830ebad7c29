#include "consign/oci/reference.hpp"
#include <cstdlib>

using namespace consign;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    if (const auto reference = oci::parse_reference(input)) {
        if (oci::to_string(*reference) != input) std::abort();
        if (!oci::is_repository_name(reference->repository)) std::abort();
        if (reference->tag && !oci::is_tag(*reference->tag)) std::abort();
    }
    if (const auto which = oci::TagOrDigest::parse(input); which && which->str() != input) std::abort();
    // A name goes into paths and URLs as it is.
    if (oci::is_repository_name(input) &&
        (input.contains("..") || input.contains("//") || input.contains('%')))
        std::abort();
    return 0;
}
