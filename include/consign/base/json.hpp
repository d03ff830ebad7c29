#pragma once
// One list of fields per type gives its JSON in both directions and its schema:
//
//     struct Lease {
//         JobId job;
//         std::int64_t epoch = 0;
//         std::optional<std::string> note;       // may be absent
//         int wait_s = 50;
//         static constexpr auto fields(auto& self, auto&& f) {
//             f("job", self.job);
//             f("epoch", self.epoch);
//             f("note", self.note);
//             f("wait_s", self.wait_s, json::kDefaulted);  // absent: keeps its default
//         }
//     };
//
// decode() reports the first fault with its path ("leases[2].epoch: expected an integer, got a string").
#include "consign/base/clock.hpp"
#include "consign/base/digest.hpp"
#include "consign/base/id.hpp"
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace consign::json {

using Value = nlohmann::json;

/// invalid_argument with line and column on malformed text; nesting deeper than 64 is refused.
Result<Value> parse(std::string_view text);
/// Compact text; invalid UTF-8 is replaced, never thrown on.
std::string dump(const Value& value, int indent = -1);

struct Defaulted {};
inline constexpr Defaulted kDefaulted{};

/// What to do with members that the type does not have: a server refuses them (a typo must not be
/// ignored), a client or agent skips them (the server may be newer).
enum class Unknown { refuse, skip };

struct NoFieldVisitor {
    template <class... A>
    void operator()(A&&...) const {}
};
template <class T>
concept Described = requires(T& t) { T::fields(t, NoFieldVisitor{}); };

/// An enum with a table of names: specialise `EnumNames<E>` with `static constexpr std::array<std::pair<E,
/// std::string_view>, N> names`.
template <class E>
struct EnumNames;
template <class E>
concept NamedEnum = std::is_enum_v<E> && requires { EnumNames<E>::names; };

template <NamedEnum E>
std::string_view name_of(E value) {
    for (const auto& [e, n] : EnumNames<E>::names)
        if (e == value) return n;
    return "unknown";
}
template <NamedEnum E>
std::optional<E> enum_from(std::string_view name) {
    for (const auto& [e, n] : EnumNames<E>::names)
        if (n == name) return e;
    return std::nullopt;
}

namespace detail {
std::string kind_of(const Value& value); ///< "a string", "an integer", …
std::string child(std::string_view path, std::string_view key);
std::string child(std::string_view path, std::size_t index);
Error mismatch(std::string_view path, std::string_view expected, const Value& got);
Error problem(std::string_view path, std::string_view what);

template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
struct IsMap : std::false_type {};
template <class T>
struct IsMap<std::map<std::string, T>> : std::true_type {};
template <class T>
concept IsId = requires(std::string_view s) {
    { T::parse(s) } -> std::same_as<Result<T>>;
};
} // namespace detail

template <class T>
Value encode(const T& value);
template <class T>
Result<void> decode_into(T& out, const Value& in, std::string_view path, Unknown unknown);

template <class T>
Result<T> decode(const Value& in, Unknown unknown = Unknown::skip) {
    T out{};
    CONSIGN_CHECK(decode_into(out, in, "", unknown));
    return out;
}
template <class T>
Result<T> decode_text(std::string_view text, Unknown unknown = Unknown::skip) {
    CONSIGN_TRY(value, parse(text));
    return decode<T>(value, unknown);
}
template <class T>
std::string to_text(const T& value) {
    return dump(encode(value));
}

template <class T>
Value encode(const T& value) {
    if constexpr (std::same_as<T, Value>) {
        return value;
    } else if constexpr (detail::IsOptional<T>::value) {
        return value ? encode(*value) : Value(nullptr);
    } else if constexpr (detail::IsVector<T>::value) {
        Value out = Value::array();
        for (const auto& item : value) out.push_back(encode(item));
        return out;
    } else if constexpr (detail::IsMap<T>::value) {
        Value out = Value::object();
        for (const auto& [key, item] : value) out[key] = encode(item);
        return out;
    } else if constexpr (std::same_as<T, Time>) {
        return to_rfc3339(value);
    } else if constexpr (NamedEnum<T>) {
        return std::string(name_of(value));
    } else if constexpr (requires { value.str(); }) {
        return value.str();
    } else if constexpr (Described<T>) {
        Value out = Value::object();
        auto& self = const_cast<T&>(value); // fields() only reads here
        T::fields(self, [&](std::string_view key, auto& member, auto...) {
            using M = std::remove_cvref_t<decltype(member)>;
            if constexpr (detail::IsOptional<M>::value) {
                if (member) out[std::string(key)] = encode(*member);
            } else {
                out[std::string(key)] = encode(member);
            }
        });
        return out;
    } else {
        return Value(value);
    }
}

template <class T>
Result<void> decode_into(T& out, const Value& in, std::string_view path, Unknown unknown) {
    using detail::mismatch;
    if constexpr (std::same_as<T, Value>) {
        out = in;
    } else if constexpr (detail::IsOptional<T>::value) {
        if (in.is_null()) {
            out.reset();
        } else {
            out.emplace();
            CONSIGN_CHECK(decode_into(*out, in, path, unknown));
        }
    } else if constexpr (detail::IsVector<T>::value) {
        if (!in.is_array()) return std::unexpected(mismatch(path, "an array", in));
        out.clear();
        for (std::size_t i = 0; i < in.size(); ++i) {
            typename T::value_type item{};
            CONSIGN_CHECK(decode_into(item, in[i], detail::child(path, i), unknown));
            out.push_back(std::move(item));
        }
    } else if constexpr (detail::IsMap<T>::value) {
        if (!in.is_object()) return std::unexpected(mismatch(path, "an object", in));
        out.clear();
        for (const auto& [key, item] : in.items())
            CONSIGN_CHECK(decode_into(out[key], item, detail::child(path, key), unknown));
    } else if constexpr (std::same_as<T, bool>) {
        if (!in.is_boolean()) return std::unexpected(mismatch(path, "true or false", in));
        out = in.get<bool>();
    } else if constexpr (std::is_integral_v<T>) {
        if (!in.is_number_integer()) return std::unexpected(mismatch(path, "an integer", in));
        if (in.is_number_unsigned() ? !std::in_range<T>(in.get<std::uint64_t>())
                                    : !std::in_range<T>(in.get<std::int64_t>()))
            return std::unexpected(detail::problem(path, "number out of range"));
        out = in.get<T>();
    } else if constexpr (std::is_floating_point_v<T>) {
        if (!in.is_number()) return std::unexpected(mismatch(path, "a number", in));
        out = in.get<T>();
    } else if constexpr (std::same_as<T, std::string>) {
        if (!in.is_string()) return std::unexpected(mismatch(path, "a string", in));
        out = in.get_ref<const std::string&>();
    } else if constexpr (std::same_as<T, Time>) {
        if (!in.is_string()) return std::unexpected(mismatch(path, "a time (RFC 3339)", in));
        auto time = parse_rfc3339(in.get_ref<const std::string&>());
        if (!time) return std::unexpected(detail::problem(path, time.error().message));
        out = *time;
    } else if constexpr (NamedEnum<T>) {
        if (!in.is_string()) return std::unexpected(mismatch(path, "a string", in));
        auto value = enum_from<T>(in.get_ref<const std::string&>());
        if (!value) {
            std::string known;
            for (const auto& [e, n] : EnumNames<T>::names)
                known += (known.empty() ? "" : ", ") + std::string(n);
            return std::unexpected(
                detail::problem(path, "'" + in.get<std::string>() + "' is not one of: " + known));
        }
        out = *value;
    } else if constexpr (detail::IsId<T>) {
        if (!in.is_string()) return std::unexpected(mismatch(path, "a string", in));
        if (auto id = T::parse(in.get_ref<const std::string&>()))
            out = *id;
        else
            return std::unexpected(detail::problem(path, id.error().message));
    } else {
        static_assert(Described<T>, "give the type a fields() function");
        if (!in.is_object()) return std::unexpected(mismatch(path, "an object", in));
        Result<void> result;
        std::set<std::string_view> known;
        T::fields(out, [&](std::string_view key, auto& member, auto... defaulted) {
            known.insert(key);
            if (!result) return;
            const auto found = in.find(key);
            using M = std::remove_cvref_t<decltype(member)>;
            if (found == in.end()) {
                if constexpr (!detail::IsOptional<M>::value && sizeof...(defaulted) == 0)
                    result = std::unexpected(detail::problem(detail::child(path, key), "is missing"));
                return;
            }
            result = decode_into(member, *found, detail::child(path, key), unknown);
        });
        if (result && unknown == Unknown::refuse)
            for (const auto& [key, item] : in.items())
                if (!known.contains(key))
                    return std::unexpected(detail::problem(detail::child(path, key), "is not a known field"));
        return result;
    }
    return {};
}

} // namespace consign::json

// For a type that many files send or read: EXTERN in its header, INSTANTIATE in one .cpp, both inside
// consign::json.
#define CONSIGN_JSON_EXTERN(T)                                                                               \
    extern template Value encode<T>(const T&);                                                               \
    extern template Result<void> decode_into<T>(T&, const Value&, std::string_view, Unknown);
#define CONSIGN_JSON_INSTANTIATE(T)                                                                          \
    template Value encode<T>(const T&);                                                                      \
    template Result<void> decode_into<T>(T&, const Value&, std::string_view, Unknown);
