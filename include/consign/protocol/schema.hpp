#pragma once
// JSON Schema (2020-12, what OpenAPI 3.1 takes) out of the fields() lists that make the JSON itself, so that
// the description cannot drift from what is sent and accepted.
#include "consign/base/json.hpp"

namespace consign::protocol {

/// Which way the JSON goes. A server requires of a request what has no default, and refuses members it does
/// not know; its answers always carry every member but the optional ones, and may one day carry more.
enum class Direction { request, answer };

/// Collects the schemas of described types, each once, for "#/components/schemas".
class Schemas {
  public:
    template <class T>
    json::Value of(Direction direction) {
        using namespace json::detail;
        if constexpr (std::same_as<T, json::Value>) {
            return json::Value::object(); // anything
        } else if constexpr (IsOptional<T>::value) {
            return of<typename T::value_type>(direction);
        } else if constexpr (IsVector<T>::value) {
            return {{"type", "array"}, {"items", of<typename T::value_type>(direction)}};
        } else if constexpr (IsMap<T>::value) {
            return {{"type", "object"}, {"additionalProperties", of<typename T::mapped_type>(direction)}};
        } else if constexpr (std::same_as<T, bool>) {
            return {{"type", "boolean"}};
        } else if constexpr (std::is_integral_v<T>) {
            return {{"type", "integer"}, {"format", sizeof(T) > 4 ? "int64" : "int32"}};
        } else if constexpr (std::is_floating_point_v<T>) {
            return {{"type", "number"}};
        } else if constexpr (std::same_as<T, std::string>) {
            return {{"type", "string"}};
        } else if constexpr (std::same_as<T, Time>) {
            return {{"type", "string"}, {"format", "date-time"}};
        } else if constexpr (json::NamedEnum<T>) {
            auto names = json::Value::array();
            for (const auto& [value, name] : json::EnumNames<T>::names) names.push_back(name);
            return {{"type", "string"}, {"enum", std::move(names)}};
        } else if constexpr (requires { T::prefix; }) {
            return {{"type", "string"},
                    {"pattern", "^" + std::string(T::prefix) + "_[0-9A-HJKMNP-TV-Z]{26}$"}};
        } else if constexpr (std::same_as<T, Digest>) {
            return {{"type", "string"}, {"pattern", "^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$"}};
        } else {
            static_assert(json::Described<T>, "give the type a fields() function");
            const std::string name = name_of<T>(direction);
            if (known_.try_emplace(name).second) known_[name] = described<T>(direction);
            return {{"$ref", "#/components/schemas/" + name}};
        }
    }

    /// All that were asked for, by name, with those they refer to.
    const std::map<std::string, json::Value>& known() const { return known_; }

    /// "JobView", "JobViewList" for List<JobView>; a type that is also answered has "In" in front as a
    /// request.
    template <class T>
    static std::string name_of(Direction direction) {
        std::string_view text = type_name<T>(); // "consign::protocol::List<consign::protocol::JobView>"
        const auto open = text.find('<');
        std::string name;
        if (open != std::string_view::npos) {
            name = last_part(text.substr(open + 1, text.rfind('>') - open - 1));
            text = text.substr(0, open);
        }
        name += last_part(text);
        return direction == Direction::request && !name.ends_with("Request") ? "In" + name : name;
    }

  private:
    template <class T>
    json::Value described(Direction direction) {
        auto properties = json::Value::object();
        auto required = json::Value::array();
        T example{};
        T::fields(example, [&](std::string_view key, auto& member, auto... defaulted) {
            using M = std::remove_cvref_t<decltype(member)>;
            properties[std::string(key)] = of<M>(direction);
            if (!json::detail::IsOptional<M>::value &&
                (direction == Direction::answer || sizeof...(defaulted) == 0))
                required.push_back(key);
        });
        json::Value schema{{"type", "object"}, {"properties", std::move(properties)}};
        if (!required.empty()) schema["required"] = std::move(required);
        if (direction == Direction::request) schema["additionalProperties"] = false;
        return schema;
    }

    template <class T>
    static constexpr std::string_view type_name() {
        const std::string_view text = __PRETTY_FUNCTION__; // "… [T = consign::protocol::JobView]"
        const auto begin = text.find("T = ") + 4;
        return text.substr(begin, text.rfind(']') - begin);
    }
    static std::string last_part(std::string_view name) {
        const auto colon = name.rfind(':');
        return std::string(colon == std::string_view::npos ? name : name.substr(colon + 1));
    }

    std::map<std::string, json::Value> known_;
};

} // namespace consign::protocol
