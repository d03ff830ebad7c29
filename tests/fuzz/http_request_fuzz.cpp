// The first byte cuts the body into pieces; the rest is what a client might send. A chunked body decodes to
// the same bytes however it is cut, and no accepted head can be framed in two ways.
#include "net/http_parser.hpp"
#include <algorithm>
#include <cstdlib>
#include <vector>

namespace {
using namespace consign;
using namespace consign::net;

struct Decoded {
    bool failed = false, done = false;
    std::string body;
};

Decoded decode(std::string_view head, std::string_view rest, std::size_t piece, std::size_t room) {
    auto parsed = parse_request_head(head);
    if (!parsed || !parsed->decoder) std::abort();
    Decoded out;
    std::string pending;
    std::vector<std::byte> buffer(room);
    for (;;) {
        const auto step = parsed->decoder->decode(pending, buffer);
        if (!step) {
            out.failed = true;
            return out;
        }
        if (step->consumed > pending.size() || step->produced > room) std::abort();
        pending.erase(0, step->consumed);
        out.body += as_text(ByteView(buffer).first(step->produced));
        out.done = parsed->decoder->done();
        if (out.done) return out;
        if (step->consumed > 0) continue;
        if (rest.empty()) return out;
        pending += rest.substr(0, piece);
        rest.remove_prefix(std::min(piece, rest.size()));
    }
}
} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto end = find_head_end(text);
    if (end == std::string_view::npos) return 0;
    const auto head = parse_request_head(text.substr(0, end));
    static_cast<void>(parse_response_head(text.substr(0, end)));
    if (!head) return 0;
    if (head->chunked && head->headers.has("Content-Length")) std::abort();
    if (head->headers.has("Transfer-Encoding") != head->chunked) std::abort();
    for (const auto& [name, value] : head->headers.items())
        for (const char c : name + value)
            if (c == '\r' || c == '\n' || c == '\0') std::abort();
    if (!head->chunked) return 0;
    const auto whole = decode(text.substr(0, end), text.substr(end), text.size(), 1 << 16);
    const auto cut = decode(text.substr(0, end), text.substr(end), 1 + data[0] % 16, 1 + data[0] / 16);
    if (whole.failed != cut.failed || whole.done != cut.done) std::abort();
    if (!whole.failed && whole.body != cut.body) std::abort();
    return 0;
}
