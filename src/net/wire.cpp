#include "net/wire.hpp"
#include <algorithm>
#include <array>
#include <format>

namespace consign::net {

namespace {
// One TLS record; also small enough to be worth one system call together with the head.
constexpr std::size_t kJoinUpTo = 16 * 1024;

bool is_token_char(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("!#$%&'*+-.^_`|~").contains(c);
}

bool is_text_char(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

bool is_framing(std::string_view name) {
    constexpr std::array<std::string_view, 4> kOwned{"content-length", "transfer-encoding", "connection",
                                                     "keep-alive"};
    return std::ranges::any_of(kOwned, [name](std::string_view owned) {
        return std::ranges::equal(
            name, owned, {}, [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    });
}

Async<Result<void>> send_stream(Stream& stream, std::string head, const StreamBody& body, BodyPlan plan,
                                std::chrono::milliseconds progress) {
    const bool chunked = plan.framing == Framing::chunked;
    CONSIGN_CO_CHECK(co_await stream.write_all(as_bytes(head), progress));
    head = {};
    std::uint64_t left = plan.length;
    // Room for the chunk's size in front and its CRLF behind, so that a piece goes out in one write.
    constexpr std::size_t kFront = 10, kBehind = 2;
    std::vector<std::byte> buffer(kFront + body.piece_bytes + kBehind);
    for (;;) {
        std::span<std::byte> room(buffer.data() + kFront, body.piece_bytes);
        if (plan.framing == Framing::length) {
            if (left == 0) co_return Result<void>{};
            room = room.first(static_cast<std::size_t>(std::min<std::uint64_t>(left, room.size())));
        }
        CONSIGN_CO_TRY(got, co_await body.source->read(room));
        if (got == 0) {
            if (plan.framing == Framing::length)
                co_return fail(Code::internal,
                               "a body ended " + std::to_string(left) + " bytes before its declared size");
            if (chunked)
                co_return co_await stream.write_all(as_bytes(std::string_view("0\r\n\r\n")), progress);
            co_return Result<void>{};
        }
        ByteView piece(buffer.data() + kFront, got);
        if (chunked) {
            const std::string size = std::format("{:x}\r\n", got);
            std::ranges::copy(as_bytes(size), buffer.data() + kFront - size.size());
            std::ranges::copy(as_bytes(std::string_view("\r\n")), buffer.data() + kFront + got);
            piece = ByteView(buffer.data() + kFront - size.size(), size.size() + got + kBehind);
        }
        CONSIGN_CO_CHECK(co_await stream.write_all(piece, progress));
        left -= std::min<std::uint64_t>(left, got);
    }
}
} // namespace

std::string_view reason_phrase(int status) {
    struct Row {
        int status;
        std::string_view phrase;
    };
    static constexpr std::array kPhrases = {
        Row{100, "Continue"},
        Row{200, "OK"},
        Row{201, "Created"},
        Row{202, "Accepted"},
        Row{204, "No Content"},
        Row{206, "Partial Content"},
        Row{301, "Moved Permanently"},
        Row{302, "Found"},
        Row{303, "See Other"},
        Row{304, "Not Modified"},
        Row{307, "Temporary Redirect"},
        Row{308, "Permanent Redirect"},
        Row{400, "Bad Request"},
        Row{401, "Unauthorized"},
        Row{403, "Forbidden"},
        Row{404, "Not Found"},
        Row{405, "Method Not Allowed"},
        Row{406, "Not Acceptable"},
        Row{408, "Request Timeout"},
        Row{409, "Conflict"},
        Row{410, "Gone"},
        Row{411, "Length Required"},
        Row{412, "Precondition Failed"},
        Row{413, "Content Too Large"},
        Row{415, "Unsupported Media Type"},
        Row{416, "Range Not Satisfiable"},
        Row{417, "Expectation Failed"},
        Row{422, "Unprocessable Content"},
        Row{429, "Too Many Requests"},
        Row{431, "Request Header Fields Too Large"},
        Row{499, "Client Closed Request"},
        Row{500, "Internal Server Error"},
        Row{501, "Not Implemented"},
        Row{502, "Bad Gateway"},
        Row{503, "Service Unavailable"},
        Row{504, "Gateway Timeout"},
        Row{505, "HTTP Version Not Supported"},
        Row{507, "Insufficient Storage"},
    };
    const auto found = std::ranges::find(kPhrases, status, &Row::status);
    return found == kPhrases.end() ? std::string_view("Unknown") : found->phrase;
}

Result<void> check_headers(const Headers& headers) {
    for (const auto& [name, value] : headers.items()) {
        if (name.empty() || !std::ranges::all_of(name, is_token_char))
            return fail(Code::invalid_argument, "a header has an invalid name");
        if (!std::ranges::all_of(value, is_text_char))
            return fail(Code::invalid_argument,
                        "the header " + name + " has control characters in its value");
    }
    return {};
}

BodyPlan plan_of(const Body& body) {
    if (const auto* text = std::get_if<std::string>(&body)) return {Framing::length, text->size()};
    if (const auto* file = std::get_if<FileBody>(&body)) return {Framing::length, file->size};
    const auto& stream = std::get<StreamBody>(body);
    return stream.size ? BodyPlan{Framing::length, *stream.size} : BodyPlan{Framing::chunked, 0};
}

void append_headers(std::string& head, const Headers& headers) {
    for (const auto& [name, value] : headers.items())
        if (!is_framing(name)) head.append(name).append(": ").append(value).append("\r\n");
}

void append_framing(std::string& head, const BodyPlan& plan) {
    if (plan.framing == Framing::length) head += "Content-Length: " + std::to_string(plan.length) + "\r\n";
    if (plan.framing == Framing::chunked) head += "Transfer-Encoding: chunked\r\n";
}

Async<Result<void>> send_message(Stream& stream, std::string head, const Body& body, BodyPlan plan,
                                 std::chrono::milliseconds progress) {
    if (plan.framing == Framing::none) co_return co_await stream.write_all(as_bytes(head), progress);
    if (const auto* text = std::get_if<std::string>(&body)) {
        if (text->size() <= kJoinUpTo) {
            head += *text;
            co_return co_await stream.write_all(as_bytes(head), progress);
        }
        CONSIGN_CO_CHECK(co_await stream.write_all(as_bytes(head), progress));
        co_return co_await stream.write_all(as_bytes(*text), progress);
    }
    if (const auto* file = std::get_if<FileBody>(&body)) {
        CONSIGN_CO_CHECK(co_await stream.write_all(as_bytes(head), progress));
        head = {};
        co_return co_await stream.send_file(file->file->get(), file->offset, file->size, progress);
    }
    co_return co_await send_stream(stream, std::move(head), std::get<StreamBody>(body), plan, progress);
}

} // namespace consign::net
