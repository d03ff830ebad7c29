#pragma once
// What no single value of a consign.toml can get wrong by itself: names against each other, the dependency
// graph, and what templates refer to.
#include "model/toml_reader.hpp"

namespace consign::model {

/// `paths[i]` is how faults name `config.components[i]`: "component[web]".
void check_app(const AppConfig& config, const std::vector<std::string>& paths, Report& report);

/// A path that stays below the directory it starts from, such as "./web" or "etc/web.conf".
bool is_inner_path(std::string_view path);

} // namespace consign::model
