#pragma once
#include "registry_core.hpp"

namespace consign::oci {

struct Registry::Impl : RegistryCore {
    using RegistryCore::RegistryCore;
};

} // namespace consign::oci
