#pragma once
#include "consign/model/app_config.hpp"

namespace consign::model {

/// Checks `given` against the declared inputs and fills in the defaults. One invalid_argument error lists
/// every fault: unknown names (with the nearest), missing values, wrong types.
Result<std::map<std::string, json::Value>> resolve_inputs(const AppConfig& config,
                                                          const std::map<std::string, json::Value>& given);

/// "port=8080" as the command line has it: the text becomes the declared type (lists and maps as JSON).
Result<std::pair<std::string, json::Value>> parse_input_assignment(const AppConfig& config,
                                                                   std::string_view text);

/// Whether `value` is of the declared type. A number is finite; lists and maps hold any JSON.
bool fits(InputType type, const json::Value& value);

/// What a template gets for a value: a string as it is, everything else as compact JSON, numbers without
/// trailing zeros (8080.0 gives "8080").
std::string to_template_text(const json::Value& value);

} // namespace consign::model
