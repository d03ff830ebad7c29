#pragma once
#include "consign/base/error.hpp"
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace consign::model {

/// Gives the text for a path such as "inputs.port"; nullopt: nothing by that name.
using Lookup = std::function<std::optional<std::string>(std::string_view path)>;

/// Replaces every {{ path }} in `text`. No logic. "{{{{" writes a literal "{{". invalid_argument for a path
/// that `lookup` does not know, an unclosed "{{", or a malformed path; the message has the path and the
/// 1-based line.
Result<std::string> interpolate(std::string_view text, const Lookup& lookup);

/// The paths a text refers to, with their 1-based lines; the same errors for malformed templates.
struct TemplatePath {
    std::string path;
    int line = 1;
};
Result<std::vector<TemplatePath>> template_paths(std::string_view text);

} // namespace consign::model
