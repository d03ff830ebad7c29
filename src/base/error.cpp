#include "consign/base/error.hpp"
#include <cerrno>
#include <system_error>
#include <utility>

namespace consign {
namespace {

constexpr std::pair<Code, std::string_view> kNames[] = {
    {Code::invalid_argument, "invalid_argument"},
    {Code::unauthenticated, "unauthenticated"},
    {Code::permission_denied, "permission_denied"},
    {Code::not_found, "not_found"},
    {Code::conflict, "conflict"},
    {Code::lease_lost, "lease_lost"},
    {Code::session_superseded, "session_superseded"},
    {Code::too_large, "too_large"},
    {Code::rate_limited, "rate_limited"},
    {Code::unavailable, "unavailable"},
    {Code::timed_out, "timed_out"},
    {Code::cancelled, "cancelled"},
    {Code::corrupt, "corrupt"},
    {Code::unsupported, "unsupported"},
    {Code::storage_full, "storage_full"},
    {Code::failed, "failed"},
    {Code::internal, "internal"},
};

consteval bool in_order() {
    for (std::size_t i = 0; i < std::size(kNames); ++i)
        if (std::to_underlying(kNames[i].first) != static_cast<int>(i)) return false;
    return std::size(kNames) == static_cast<std::size_t>(Code::internal) + 1;
}
static_assert(in_order(), "one name per code, in the order of the enum");

Code code_of_errno(int errno_value) {
    switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
        return Code::storage_full;
    case ENOENT:
        return Code::not_found;
    case EACCES:
    case EPERM:
        return Code::permission_denied;
    case EEXIST:
        return Code::conflict;
    default:
        return Code::internal;
    }
}

} // namespace

std::string_view name_of(Code code) {
    const auto index = static_cast<std::size_t>(code);
    return index < std::size(kNames) ? kNames[index].second : "internal";
}

Code code_from_name(std::string_view name) {
    for (const auto& [code, known] : kNames)
        if (known == name) return code;
    return Code::internal;
}

std::unexpected<Error> fail_errno(std::string_view doing, int errno_value) {
    const Code code = code_of_errno(errno_value);
    // Not strerror: it is not thread-safe.
    return fail(code, std::string(doing) + ": " + std::generic_category().message(errno_value),
                code == Code::storage_full ? "free some space on this disk, then try again" : "");
}

Error with_context(Error error, std::string_view context) {
    error.message = std::string(context) + ": " + error.message;
    return error;
}

std::string to_string(const Error& error) {
    return error.hint.empty() ? error.message : error.message + " (" + error.hint + ")";
}

} // namespace consign
