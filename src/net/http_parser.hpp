#pragma once
// Beast's parsers behind a header without Beast: it costs 15 s of compile time in each file that sees it.
#include "consign/net/http.hpp"
#include <memory>

namespace consign::net {

/// Where a complete head ends in `bytes` (past its blank line), or npos. `from`: known not to start before.
std::size_t find_head_end(std::string_view bytes, std::size_t from = 0);

/// Decodes a chunked body (RFC 9112 section 7.1), trailers included and ignored.
class ChunkedDecoder {
  public:
    virtual ~ChunkedDecoder() = default;
    struct Step {
        std::size_t consumed = 0;
        std::size_t produced = 0;
    };
    /// As much as fits. Nothing consumed and nothing produced: needs more input, behind what it was given.
    virtual Result<Step> decode(std::string_view in, std::span<std::byte> out) = 0;
    virtual bool done() const = 0;
};

struct MessageHead {
    std::string method; ///< requests
    std::string target;
    int status = 0; ///< responses
    bool http_1_0 = false;
    bool keep_alive = false;
    std::optional<std::uint64_t> content_length;
    bool chunked = false;
    Headers headers;
    std::unique_ptr<ChunkedDecoder> decoder; ///< when chunked
};

/// `head` is complete. Errors: invalid_argument (malformed), unsupported (transfer codings but chunked).
Result<MessageHead> parse_request_head(std::string_view head);
Result<MessageHead> parse_response_head(std::string_view head);

} // namespace consign::net
