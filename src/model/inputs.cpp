#include "consign/model/inputs.hpp"
#include <cmath>
#include <format>

namespace consign::model {
namespace {

// Values are never quoted in messages: an input may be sensitive.

std::string did_you_mean(std::string_view name, const AppConfig& config) {
    std::vector<std::string> names;
    for (const auto& [declared, input] : config.inputs) names.push_back(declared);
    if (const auto near = nearest(name, names)) return std::format(" (did you mean '{}'?)", *near);
    if (names.empty()) return " (the app declares no inputs)";
    std::string all;
    for (const auto& declared : names) all += (all.empty() ? "" : ", ") + declared;
    return std::format(" (it declares: {})", all);
}

std::string wanted(InputType type) {
    switch (type) {
    case InputType::string:
        return "a string";
    case InputType::number:
        return "a number";
    case InputType::boolean:
        return "true or false";
    case InputType::list:
        return "a list";
    case InputType::map:
        return "a map";
    }
    return "a value";
}

std::string example(InputType type) {
    switch (type) {
    case InputType::string:
        return "text";
    case InputType::number:
        return "8080";
    case InputType::boolean:
        return "true";
    case InputType::list:
        return R"('["a","b"]')";
    case InputType::map:
        return R"('{"key":"value"}')";
    }
    return "value";
}

/// Doubles that are whole numbers become integers, everywhere inside.
json::Value without_trailing_zeros(json::Value value) {
    constexpr double kExact = 9007199254740992.0; // 2^53: up to here a double is the integer it looks like
    if (value.is_number_float()) {
        const double number = value.get<double>();
        if (std::abs(number) <= kExact && number == std::trunc(number))
            return static_cast<std::int64_t>(number);
    } else if (value.is_structured()) {
        for (auto& item : value) item = without_trailing_zeros(std::move(item));
    }
    return value;
}

} // namespace

bool fits(InputType type, const json::Value& value) {
    switch (type) {
    case InputType::string:
        return value.is_string();
    case InputType::number:
        return value.is_number() && std::isfinite(value.get<double>());
    case InputType::boolean:
        return value.is_boolean();
    case InputType::list:
        return value.is_array();
    case InputType::map:
        return value.is_object();
    }
    return false;
}

std::string to_template_text(const json::Value& value) {
    if (value.is_string()) return value.get<std::string>();
    return json::dump(without_trailing_zeros(value));
}

Result<std::map<std::string, json::Value>> resolve_inputs(const AppConfig& config,
                                                          const std::map<std::string, json::Value>& given) {
    std::vector<std::string> faults;
    std::map<std::string, json::Value> resolved;
    for (const auto& [name, value] : given) {
        const auto declared = config.inputs.find(name);
        if (declared == config.inputs.end()) {
            faults.push_back(std::format("'{}' is not an input of app '{}'{}", name.substr(0, 64), config.app,
                                         did_you_mean(name, config)));
        } else if (!fits(declared->second.type, value)) {
            faults.push_back(std::format("input '{}' must be {}, got {}", name, wanted(declared->second.type),
                                         json::detail::kind_of(value)));
        } else {
            resolved[name] = value;
        }
    }
    for (const auto& [name, input] : config.inputs) {
        if (given.contains(name)) continue;
        if (input.default_value)
            resolved[name] = *input.default_value;
        else
            faults.push_back(
                std::format("input '{}' is missing: it has no default ({})", name, wanted(input.type)));
    }
    if (faults.empty()) return resolved;
    std::string message;
    for (const auto& fault : faults) message += (message.empty() ? "" : "; ") + fault;
    return fail(Code::invalid_argument, std::move(message), "give inputs as --input NAME=VALUE");
}

Result<std::pair<std::string, json::Value>> parse_input_assignment(const AppConfig& config,
                                                                   std::string_view text) {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0)
        return fail(Code::invalid_argument, "an input must be given as NAME=VALUE", "for example port=8080");
    const std::string name(text.substr(0, equals));
    const std::string_view raw = text.substr(equals + 1);
    const auto declared = config.inputs.find(name);
    if (declared == config.inputs.end())
        return fail(Code::invalid_argument,
                    std::format("'{}' is not an input of app '{}'{}", name.substr(0, 64), config.app,
                                did_you_mean(name, config)));
    const InputType type = declared->second.type;
    if (type == InputType::string) return std::pair(name, json::Value(std::string(raw)));
    auto value = json::parse(raw);
    if (!value || !fits(type, *value))
        return fail(Code::invalid_argument, std::format("input '{}' must be {}", name, wanted(type)),
                    std::format("for example {}={}", name, example(type)));
    return std::pair(name, std::move(*value));
}

} // namespace consign::model
