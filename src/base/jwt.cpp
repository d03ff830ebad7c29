#include "consign/base/jwt.hpp"
#include "consign/base/json.hpp"
#include <array>

namespace consign::jwt {
namespace {

constexpr std::size_t kMaxBytes = 8 * 1024;

std::unexpected<Error> refuse(std::string why, std::string hint = {}) {
    return fail(Code::unauthenticated, "the token is refused: " + std::move(why), std::move(hint));
}

/// The three parts between the dots, still encoded.
Result<std::array<std::string_view, 3>> split(std::string_view token) {
    if (token.size() > kMaxBytes)
        return refuse("it has " + std::to_string(token.size()) + " bytes, more than the " +
                      std::to_string(kMaxBytes) + " allowed");
    const auto first = token.find('.');
    const auto second = first == std::string_view::npos ? first : token.find('.', first + 1);
    if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos)
        return refuse("it does not have the three parts of a JWT");
    return std::array{token.substr(0, first), token.substr(first + 1, second - first - 1),
                      token.substr(second + 1)};
}

Result<json::Value> object_in(std::string_view encoded, std::string_view part) {
    auto bytes = from_base64url(encoded);
    if (!bytes) return refuse("its " + std::string(part) + " is " + bytes.error().message);
    auto value = json::parse(as_text(*bytes));
    if (!value) return refuse("its " + std::string(part) + " is " + value.error().message);
    if (!value->is_object()) return refuse("its " + std::string(part) + " is not a JSON object");
    return std::move(*value);
}

Result<void> check_header(const json::Value& header, const PublicKey& key) {
    const auto alg = header.find("alg");
    // The algorithm is ours to choose, never the token's: "none" and HMAC under a public key end here.
    if (alg == header.end() || *alg != "ES256") return refuse("its algorithm is not ES256");
    if (header.contains("crit")) return refuse("it demands extensions ('crit') that are not supported");
    if (const auto kid = header.find("kid"); kid != header.end() && *kid != key.thumbprint())
        return refuse("it was signed with another key than the one known here",
                      "enrol again if the key was replaced");
    return {};
}

/// Seconds since the epoch; nullopt: not there.
Result<std::optional<double>> seconds_in(const json::Value& claims, const char* name) {
    const auto found = claims.find(name);
    if (found == claims.end()) return std::nullopt;
    if (!found->is_number())
        return refuse("its '" + std::string(name) + "' is " + json::detail::kind_of(*found) +
                      " instead of a number");
    return found->get<double>();
}

std::string whole_seconds(double seconds) {
    constexpr double kMost = 1e15; // a number from outside: the cast must stay defined
    return std::to_string(static_cast<std::int64_t>(std::min(seconds, kMost))) + " s";
}

Result<void> check_times(const json::Value& claims, Time now, std::chrono::seconds leeway) {
    CONSIGN_TRY(expires, seconds_in(claims, "exp"));
    CONSIGN_TRY(not_before, seconds_in(claims, "nbf"));
    CONSIGN_TRY(issued, seconds_in(claims, "iat"));
    const double at = static_cast<double>(to_millis(now)) / 1000;
    const auto slack = static_cast<double>(leeway.count());
    // Issued in the future first: of the three it points most clearly to a wrong clock.
    if (issued && *issued > at + slack)
        return refuse("token was issued " + whole_seconds(*issued - at) + " in the future: check the clocks",
                      "synchronise the clocks of both machines (NTP); " + std::to_string(leeway.count()) +
                          " s apart is tolerated");
    if (not_before && *not_before > at + slack)
        return refuse("token is not valid for another " + whole_seconds(*not_before - at) +
                          ": check the clocks",
                      "synchronise the clocks of both machines (NTP)");
    if (expires && at >= *expires + slack)
        return refuse("token expired " + whole_seconds(at - *expires) + " ago",
                      "get a new one; if it is new, check the clocks of both machines");
    return {};
}

} // namespace

std::string sign(const nlohmann::json& claims, const PrivateKey& key) {
    const std::string header =
        R"({"alg":"ES256","typ":"JWT","kid":")" + key.public_key().thumbprint() + "\"}";
    std::string token = to_base64url(as_bytes(header)) + "." + to_base64url(as_bytes(json::dump(claims)));
    const Bytes signature = key.sign(as_bytes(token));
    return token + "." + to_base64url(signature);
}

Result<nlohmann::json> verify(std::string_view token, const PublicKey& key, Time now,
                              std::chrono::seconds leeway) {
    CONSIGN_TRY(parts, split(token));
    CONSIGN_TRY(header, object_in(parts[0], "header"));
    CONSIGN_CHECK(check_header(header, key));
    auto signature = from_base64url(parts[2]);
    if (!signature || !key.verify(as_bytes(token.substr(0, token.rfind('.'))), *signature))
        return refuse("its signature is wrong");
    CONSIGN_TRY(claims, object_in(parts[1], "claims"));
    CONSIGN_CHECK(check_times(claims, now, leeway));
    return std::move(claims);
}

Result<nlohmann::json> peek(std::string_view token) {
    CONSIGN_TRY(parts, split(token));
    return object_in(parts[1], "claims");
}

} // namespace consign::jwt
