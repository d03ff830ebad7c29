#include "errors.hpp"
#include "consign/base/json.hpp"
#include "consign/base/log.hpp"
#include <array>

namespace consign::oci {

namespace {

struct Row {
    Code code;
    int status;
    std::array<std::string_view, 5> names; // by Subject
};

constexpr std::array<std::string_view, 5> everywhere(std::string_view name) {
    return {name, name, name, name, name};
}

// The only table from our codes to the registry's. Codes that are not here are the server's own trouble:
// "UNKNOWN", with the status that net gives them.
constexpr Row kRows[] = {
    {Code::invalid_argument,
     400,
     {"NAME_INVALID", "MANIFEST_INVALID", "MANIFEST_INVALID", "DIGEST_INVALID", "BLOB_UPLOAD_INVALID"}},
    {Code::not_found,
     404,
     {"NAME_UNKNOWN", "MANIFEST_UNKNOWN", "MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "BLOB_UPLOAD_UNKNOWN"}},
    {Code::corrupt, 400, everywhere("DIGEST_INVALID")},
    {Code::conflict, 409, everywhere("BLOB_UPLOAD_INVALID")},
    {Code::too_large, 413, everywhere("SIZE_INVALID")},
    {Code::unauthenticated, 401, everywhere("UNAUTHORIZED")},
    {Code::permission_denied, 403, everywhere("DENIED")},
    {Code::rate_limited, 429, everywhere("TOOMANYREQUESTS")},
    {Code::unsupported, 405, everywhere("UNSUPPORTED")},
};

} // namespace

net::Response error_response(const Error& error, Subject subject) {
    for (const auto& row : kRows)
        if (row.code == error.code)
            return error_response(row.status, row.names[static_cast<std::size_t>(subject)], error);
    const int status = net::status_of(error.code);
    // Ours: the log has it all, the caller does not learn where our files are. A client that hangs up is not
    // our trouble.
    if (error.code == Code::storage_full) {
        log::error("a registry request failed", {{"error", to_string(error)}});
        // Not a matter of rights, but the spec has no better code, and TOOMANYREQUESTS would have it tried
        // again at once. 507 says the rest (RFC 4918 section 11.5).
        return error_response(status, "DENIED",
                              Error{error.code, "the registry's disk has no room",
                                    "its operator has to free some space; then push again"});
    }
    if (error.code == Code::internal || error.code == Code::failed) {
        log::error("a registry request failed", {{"error", to_string(error)}});
        return error_response(status, "UNKNOWN", Error{error.code, "the registry failed; its log says why"});
    }
    return error_response(status, "UNKNOWN", error);
}

net::Response error_response(int status, std::string_view code, const Error& error) {
    json::Value one = {{"code", code}, {"message", error.message}};
    if (!error.hint.empty()) one["detail"] = error.hint;
    auto response =
        net::Response::json(status, json::dump({{"errors", json::Value::array({std::move(one)})}}));
    if (status == 429 || status == 503) response.headers.set("Retry-After", "1");
    return response;
}

net::Response registry_error(const Error& error) {
    // About parameters, not about a name.
    if (error.code == Code::invalid_argument) return error_response(400, "UNSUPPORTED", error);
    return error_response(error, Subject::name);
}

Error error_from_registry(int status, std::string_view content_type, std::string_view body,
                          std::string_view who) {
    auto error = net::error_from(status, content_type, body);
    if (const auto parsed = json::parse(body); parsed && parsed->is_object()) {
        const auto errors = parsed->find("errors");
        if (errors != parsed->end() && errors->is_array() && !errors->empty() &&
            errors->front().is_object()) {
            const auto text = [&](const char* key) {
                const auto found = errors->front().find(key);
                return found != errors->front().end() && found->is_string()
                           ? found->get<std::string>().substr(0, 500)
                           : std::string();
            };
            error.message = text("code") + ": " + text("message");
            error.hint = text("detail");
        }
    }
    error.message = std::string(who) + " answered " + std::to_string(status) + ", " + error.message;
    return error;
}

} // namespace consign::oci
