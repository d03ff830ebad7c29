#pragma once
// How our own heads and bodies go onto the wire (RFC 9112), for the server and the client alike.
#include "consign/net/http.hpp"
#include "net/stream.hpp"

namespace consign::net {

std::string_view reason_phrase(int status);

/// invalid_argument if a name is no token or a value has control characters: whoever controls a header's
/// value must not be able to add headers, or a second response.
Result<void> check_headers(const Headers& headers);

/// How the end of a body is found.
enum class Framing { none, length, chunked, until_close };
struct BodyPlan {
    Framing framing = Framing::none;
    std::uint64_t length = 0;
};
BodyPlan plan_of(const Body& body);

/// "Name: value" lines, without those that the framing owns (Content-Length, Transfer-Encoding, Connection).
void append_headers(std::string& head, const Headers& headers);
void append_framing(std::string& head, const BodyPlan& plan);

/// Sends `head` and the body. `progress`: the longest pause without a byte moving. An error in the middle of
/// a body leaves the stream useless: close it, so that the peer notices.
Async<Result<void>> send_message(Stream& stream, std::string head, const Body& body, BodyPlan plan,
                                 std::chrono::milliseconds progress);

} // namespace consign::net
