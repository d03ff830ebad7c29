#pragma once
// Server-sent events (WHATWG HTML, section 9.2): the framing, and a response that streams them.
#include "consign/net/server.hpp"

namespace consign::net {

/// Appends one event. `id` (what Last-Event-ID will say) and `type` (empty: "message") are one line each;
/// line ends in them would end the field, and are left out. `data` may have any: LF, CR and CR LF all reach
/// the reader as LF. Empty data is sent: an event without a data line is not dispatched.
void append_event(std::string& out, std::string_view id, std::string_view type, std::string_view data);
/// Appends a line that readers ignore: it keeps proxies from cutting a quiet stream.
void append_heartbeat(std::string& out);

/// Whether Accept names text/event-stream, and not with q=0. Ranges with '*' do not count: who did not ask
/// for a stream gets JSON.
bool wants_event_stream(const Headers& headers);
/// Where to go on: Last-Event-ID if it is there, else `otherwise`. Ids of our streams are whole numbers.
/// invalid_argument for anything else.
Result<std::int64_t> resume_from(const Headers& headers, std::int64_t otherwise);

/// How much of `bytes` may go into one event: text that is cut inside a UTF-8 character or between CR and LF
/// would be read as something else. What is left, at most 3 bytes, belongs to what comes next. Bytes that are
/// no UTF-8 are let through (a reader replaces them).
std::size_t whole_text(std::string_view bytes);

/// What a stream says. Used by one request, on its I/O thread.
class EventFeed {
  public:
    virtual ~EventFeed() = default;
    /// Appends the events that are there, framed, at most some 100 KiB; nothing: there are none now. false:
    /// the stream is over once these are sent. An error cuts the stream, and its reader comes back.
    virtual Async<Result<bool>> next(std::string& out) = 0;
    /// Moves whenever next() may have more to say. The same each time.
    virtual Mailbox& mailbox() = 0;
    /// next() is asked then, at the latest: when a right to read runs out, say. Asked anew before each wait.
    virtual SteadyTime ask_again() { return SteadyTime::max(); }
};

/// 200 text/event-stream, as long as `feed` goes on, the reader listens and the server does not drain. While
/// it waits it is parked as a long poll is: no thread, no timer of its own, and one small buffer. A reader
/// that does not keep up holds back next(); after ServerOptions::io_deadline without progress it is cut. A
/// heartbeat goes out after each `heartbeat` of silence: below the 60 s after which proxies cut.
Response event_stream(Request& request, std::shared_ptr<EventFeed> feed,
                      std::chrono::milliseconds heartbeat = std::chrono::seconds(20));

} // namespace consign::net
