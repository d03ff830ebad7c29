#include "oci/registry_path.hpp"
#include <cstdint>
#include <cstdlib>

using namespace consign;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const auto path = oci::RegistryPath::parse(input);
    if (!path) return 0;
    if (oci::RegistryPath::parse(oci::to_string(*path)) != path) std::abort();
    using Kind = oci::RegistryPath::Kind;
    const bool named = path->kind != Kind::base && path->kind != Kind::catalog;
    if (named == path->repository.empty()) std::abort();
    return 0;
}
