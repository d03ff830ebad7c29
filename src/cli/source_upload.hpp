#pragma once
#include "cli/context.hpp"
#include "consign/model/app_config.hpp"
#include "consign/protocol/types.hpp"

namespace consign::cli {

/// Packs SOURCE_ROOT/<the component's directory> and pushes it to the vendor registry at `registry` (URL),
/// where the build agent takes it from: a queued build does not change when the directory does. What the
/// registry has already is not sent again.
Result<protocol::ArtifactRef> upload_source(Context& context, const std::string& registry,
                                            const std::string& app, const model::Component& component,
                                            const std::filesystem::path& source_root);

} // namespace consign::cli
