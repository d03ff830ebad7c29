#pragma once
// The shape of one [[component]].
#include "model/toml_reader.hpp"

namespace consign::model {

inline constexpr std::string_view kNameHint =
    "use a-z, 0-9 and '-', at most 63 characters, such as \"web-1\"";

Component read_component(TableReader table, Report& report);

} // namespace consign::model
