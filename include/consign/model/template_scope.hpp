#pragma once
// What the templates of a component may name. The parser checks against it; the install agent gives the
// values.
#include "consign/model/app_config.hpp"

namespace consign::model {

/// Every component that `name` needs, directly or through others, in the order of `config.components`;
/// without `name` itself. Cycles do no harm.
std::vector<std::string> dependencies_of(const AppConfig& config, std::string_view name);

/// Every path a template of `component` may name, sorted:
///   inputs.NAME                          a declared input
///   install.name, install.id             the install
///   install.data                         a directory of this component that survives updates
///   release.version
///   components.NAME.artifact.digest, .artifact.reference, .directory
///                                        NAME: the component itself or one that it depends on
std::vector<std::string> template_scope(const AppConfig& config, const Component& component);

/// Each template text of a `run` with its path below the component ("run.service[2]",
/// "run.environment.HOME").
std::vector<std::pair<std::string, std::string>> template_texts(const BundleRun& run);

} // namespace consign::model
