#include "net/http_parser.hpp"
#include <algorithm>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <limits>

namespace consign::net {

namespace {
namespace beast = boost::beast;
namespace http = boost::beast::http;

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

template <bool IsRequest>
class BeastDecoder final : public ChunkedDecoder {
  public:
    using Parser = http::parser<IsRequest, http::buffer_body>;
    explicit BeastDecoder(std::unique_ptr<Parser> parser) : parser_(std::move(parser)) {}

    Result<Step> decode(std::string_view in, std::span<std::byte> out) override {
        Step total;
        auto& body = parser_->get().body();
        while (!parser_->is_done() && total.consumed < in.size() && total.produced < out.size()) {
            const std::size_t room = out.size() - total.produced;
            body.data = out.data() + total.produced;
            body.size = room;
            body.more = true;
            boost::system::error_code error;
            const std::size_t used =
                parser_->put({in.data() + total.consumed, in.size() - total.consumed}, error);
            total.consumed += used;
            total.produced += room - body.size;
            body.data = nullptr;
            if (error == http::error::need_more) break;
            if (error && error != http::error::need_buffer)
                return fail(Code::invalid_argument, "malformed chunked body: " + error.message());
            if (used == 0 && body.size == room) break;
        }
        return total;
    }
    bool done() const override { return parser_->is_done(); }

  private:
    std::unique_ptr<Parser> parser_;
};

// Everything that two parties could frame differently is refused: that is how requests are smuggled.
Result<void> check_framing(const MessageHead& head) {
    const auto codings = head.headers.all("Transfer-Encoding");
    if (codings.empty()) return {};
    if (head.headers.has("Content-Length"))
        return fail(Code::invalid_argument, "both Transfer-Encoding and Content-Length");
    if (head.http_1_0) return fail(Code::invalid_argument, "Transfer-Encoding in HTTP/1.0");
    if (codings.size() != 1 || !head.chunked || !beast::iequals(codings[0], "chunked"))
        return fail(Code::unsupported, "a Transfer-Encoding other than chunked");
    return {};
}

template <bool IsRequest>
Result<MessageHead> parse(std::string_view text) {
    auto parser = std::make_unique<http::parser<IsRequest, http::buffer_body>>();
    parser->header_limit(std::numeric_limits<std::uint32_t>::max()); // the caller limits what it collects
    parser->body_limit(boost::none);
    boost::system::error_code error;
    parser->put({text.data(), text.size()}, error);
    if (error || !parser->is_header_done())
        return fail(Code::invalid_argument,
                    "malformed head: " + (error ? error.message() : std::string("incomplete")));
    MessageHead head;
    auto& message = parser->get();
    if (message.version() != 10 && message.version() != 11)
        return fail(Code::unsupported, "an HTTP version other than 1.0 and 1.1");
    head.http_1_0 = message.version() == 10;
    head.keep_alive = parser->keep_alive();
    head.chunked = parser->chunked();
    if (const auto length = parser->content_length()) head.content_length = *length;
    if constexpr (IsRequest) {
        head.method = view(message.method_string());
        head.target = view(message.target());
    } else {
        head.status = static_cast<int>(message.result_int());
    }
    for (const auto& field : message)
        head.headers.add(view(field.name_string()), std::string(view(field.value())));
    CONSIGN_CHECK(check_framing(head));
    if (head.chunked) head.decoder = std::make_unique<BeastDecoder<IsRequest>>(std::move(parser));
    return head;
}
} // namespace

std::size_t find_head_end(std::string_view bytes, std::size_t from) {
    const auto blank = bytes.find("\r\n\r\n", from);
    return blank == std::string_view::npos ? blank : blank + 4;
}

Result<MessageHead> parse_request_head(std::string_view head) { return parse<true>(head); }
Result<MessageHead> parse_response_head(std::string_view head) { return parse<false>(head); }

} // namespace consign::net
