#pragma once
#include <expected>
#include <string>
#include <string_view>

namespace consign {

/// What kind of thing went wrong. One table each maps a code to an HTTP status (net), to an
/// OCI error (oci) and to an exit code (cli); nothing else switches on it for output.
enum class Code {
    invalid_argument,  ///< the caller's input is wrong; repeating it will not help
    unauthenticated,   ///< no credential, or one we do not know
    permission_denied, ///< known, but not allowed
    not_found,
    conflict,           ///< the thing exists already or changed meanwhile
    lease_lost,         ///< the epoch is stale: stop this attempt
    session_superseded, ///< a newer session of the same agent took over: exit
    too_large,
    rate_limited, ///< try again after a pause
    unavailable,  ///< the other side cannot answer now; try again
    timed_out,
    cancelled,
    corrupt, ///< bytes are not what their digest or format says
    unsupported,
    storage_full,
    failed,   ///< the work itself failed (a command, a health check)
    internal, ///< a bug, or an I/O error without a better name
};

/// The stable name of a code as it stands in problem+json, e.g. "lease_lost".
std::string_view name_of(Code code);
/// The inverse; `internal` for a name this version does not know.
Code code_from_name(std::string_view name);

/// An expected failure: `message` names the thing and the value, `hint` says what to do (may be empty).
struct Error {
    Code code = Code::internal;
    std::string message;
    std::string hint = {};
};

template <class T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(Code code, std::string message, std::string hint = {}) {
    return std::unexpected(Error{code, std::move(message), std::move(hint)});
}

/// fail() with the text of `errno` appended; ENOSPC and EDQUOT become storage_full, ENOENT not_found,
/// EACCES and EPERM permission_denied, EEXIST conflict, all else internal.
std::unexpected<Error> fail_errno(std::string_view doing, int errno_value);

/// The same error with "context: " in front of its message.
Error with_context(Error error, std::string_view context);

/// "message (hint)" for a log line or a terminal.
std::string to_string(const Error& error);

} // namespace consign

#define CONSIGN_CONCAT_(a, b) a##b
#define CONSIGN_CONCAT(a, b) CONSIGN_CONCAT_(a, b)

/// Declares `name` as a reference to the value of `expr`, or returns its error.
#define CONSIGN_TRY(name, ...)                                                                               \
    auto CONSIGN_CONCAT(name##_result_, __LINE__) = (__VA_ARGS__);                                           \
    if (!CONSIGN_CONCAT(name##_result_, __LINE__))                                                           \
        return std::unexpected(std::move(CONSIGN_CONCAT(name##_result_, __LINE__)).error());                 \
    auto& name = *CONSIGN_CONCAT(name##_result_, __LINE__)

/// Returns the error of a Result<void> (or drops the value of any other Result).
#define CONSIGN_CHECK(...)                                                                                   \
    do {                                                                                                     \
        if (auto consign_check_ = (__VA_ARGS__); !consign_check_)                                            \
            return std::unexpected(std::move(consign_check_).error());                                       \
    } while (false)

/// The same inside a coroutine that returns awaitable<Result<T>>.
#define CONSIGN_CO_TRY(name, ...)                                                                            \
    auto CONSIGN_CONCAT(name##_result_, __LINE__) = (__VA_ARGS__);                                           \
    if (!CONSIGN_CONCAT(name##_result_, __LINE__))                                                           \
        co_return std::unexpected(std::move(CONSIGN_CONCAT(name##_result_, __LINE__)).error());              \
    auto& name = *CONSIGN_CONCAT(name##_result_, __LINE__)

#define CONSIGN_CO_CHECK(...)                                                                                \
    do {                                                                                                     \
        if (auto consign_check_ = (__VA_ARGS__); !consign_check_)                                            \
            co_return std::unexpected(std::move(consign_check_).error());                                    \
    } while (false)
