#include "consign/base/json.hpp"
#include "consign/net/server.hpp"
#include "net/wire.hpp"
#include <array>

namespace consign::net {

namespace {
struct Row {
    Code code;
    int status;
};
// The only table from codes to statuses. Read backwards (the first row with the status) it is what a bare
// status means to a client.
constexpr std::array kStatuses = {
    Row{Code::invalid_argument, 400},   Row{Code::unauthenticated, 401}, Row{Code::permission_denied, 403},
    Row{Code::not_found, 404},          Row{Code::conflict, 409},        Row{Code::lease_lost, 409},
    Row{Code::session_superseded, 409}, Row{Code::too_large, 413},       Row{Code::corrupt, 422},
    Row{Code::rate_limited, 429},       Row{Code::cancelled, 499}, // nginx's number for a client that left
    Row{Code::internal, 500},           Row{Code::failed, 500},          Row{Code::unsupported, 501},
    Row{Code::unavailable, 503},        Row{Code::timed_out, 504},       Row{Code::storage_full, 507},
};

// Statuses that we never send but others do.
constexpr std::array kForeign = {
    Row{Code::timed_out, 408},   Row{Code::not_found, 410},   Row{Code::conflict, 412},
    Row{Code::unsupported, 405}, Row{Code::unsupported, 415}, Row{Code::invalid_argument, 422},
    Row{Code::too_large, 431},   Row{Code::unavailable, 502},
};

Code code_of(int status) {
    for (const auto& row : kForeign)
        if (row.status == status) return row.code;
    for (const auto& row : kStatuses)
        if (row.status == status) return row.code;
    return status >= 400 && status < 500 ? Code::invalid_argument : Code::internal;
}

std::string text_or(const json::Value& object, const char* key, std::string otherwise) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::move(otherwise);
}

// A shed client comes back soon; the agents spread their returns with jitter of their own.
constexpr const char* kRetryAfterSeconds = "2";
} // namespace

int status_of(Code code) {
    for (const auto& row : kStatuses)
        if (row.code == code) return row.status;
    return 500;
}

Response problem(const Error& error) {
    const int status = status_of(error.code);
    json::Value body = {{"type", "about:blank"},
                        {"title", reason_phrase(status)},
                        {"status", status},
                        {"detail", error.message},
                        {"code", name_of(error.code)}};
    if (!error.hint.empty()) body["hint"] = error.hint;
    // A message may quote what came over the wire: bytes that are not UTF-8 are replaced, not thrown about.
    Response response =
        Response::json(status, body.dump(-1, ' ', false, json::Value::error_handler_t::replace));
    response.headers.set("Content-Type", "application/problem+json");
    if (error.code == Code::rate_limited || error.code == Code::unavailable)
        response.headers.set("Retry-After", kRetryAfterSeconds);
    return response;
}

Error error_from(int status, std::string_view content_type, std::string_view body) {
    const std::string bare = "HTTP " + std::to_string(status) + " " + std::string(reason_phrase(status));
    if (content_type.starts_with("application/problem+json")) {
        if (const auto parsed = json::parse(body); parsed && parsed->is_object()) {
            const auto code = parsed->find("code");
            return {code != parsed->end() && code->is_string() ? code_from_name(code->get<std::string>())
                                                               : code_of(status),
                    text_or(*parsed, "detail", text_or(*parsed, "title", bare)),
                    text_or(*parsed, "hint", "")};
        }
    }
    // Someone else's error page: its start helps, if it is text.
    if (content_type.starts_with("text/plain") || content_type.starts_with("application/json")) {
        constexpr std::size_t kQuoted = 300;
        std::string start(body.substr(0, kQuoted));
        for (char& c : start)
            if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
        if (!start.empty()) return {code_of(status), bare + ": " + start};
    }
    return {code_of(status), bare};
}

Response Response::json(int status, std::string text) {
    Response response{.status = status, .headers = {}, .body = std::move(text)};
    response.headers.set("Content-Type", "application/json");
    return response;
}

Response Response::text(int status, std::string text) {
    Response response{.status = status, .headers = {}, .body = std::move(text)};
    response.headers.set("Content-Type", "text/plain; charset=utf-8");
    return response;
}

Response Response::empty(int status) { return {.status = status, .headers = {}, .body = std::string{}}; }

} // namespace consign::net
