#pragma once
// The order of components, and the cycles that forbid one.
#include "consign/model/app_config.hpp"

namespace consign::model {

/// Each cycle found, as the names along it with the first repeated at the end. Empty if there is none. Names
/// that no component has are ignored.
std::vector<std::vector<std::string>> find_cycles(const std::vector<Component>& components);

/// Dependencies before dependants, otherwise in the order given. Requires that there is no cycle.
std::vector<Component> in_dependency_order(std::vector<Component> components);

} // namespace consign::model
