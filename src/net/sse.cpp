#include "consign/net/sse.hpp"
#include <algorithm>
#include <charconv>
#include <cstring>

namespace consign::net {

namespace {
// How long a reader waits before it comes back, unless it knows better: a restart of the server takes
// seconds.
constexpr std::string_view kRetry = "retry: 3000\n\n";
// A stream lives for hours and is mostly quiet: its buffer is small.
constexpr std::size_t kPieceBytes = 4 * 1024;
constexpr std::size_t kKeptBytes = 4 * 1024;

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

/// Takes what is before `separator` off `rest`.
std::string_view take(std::string_view& rest, char separator) {
    const auto end = std::min(rest.find(separator), rest.size());
    const auto part = trimmed(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return part;
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
    out.append(name).append(": ");
    for (const char c : value)
        if (c != '\n' && c != '\r' && c != '\0') out += c;
    out += '\n';
}

class EventStream final : public Source {
  public:
    EventStream(Parking& parking, std::shared_ptr<EventFeed> feed, std::chrono::milliseconds heartbeat)
        : parking_(parking), feed_(std::move(feed)), heartbeat_(heartbeat) {}

    Async<Result<std::size_t>> read(std::span<std::byte> into) override {
        while (sent_ == ready_.size()) {
            if (over_) co_return std::size_t{0};
            clear();
            CONSIGN_CO_CHECK(co_await more());
        }
        const auto count = std::min(into.size(), ready_.size() - sent_);
        std::memcpy(into.data(), ready_.data() + sent_, count);
        sent_ += count;
        co_return count;
    }

  private:
    void clear() {
        sent_ = 0;
        if (ready_.capacity() > kKeptBytes)
            std::string().swap(ready_);
        else
            ready_.clear();
    }

    /// Fills ready_, or waits once.
    Async<Result<void>> more() {
        const auto seen = feed_->mailbox().version(); // before we look
        if (parking_.draining()) {
            over_ = true;
            co_return Result<void>{};
        }
        CONSIGN_CO_TRY(goes_on, co_await feed_->next(ready_));
        over_ = !goes_on;
        if (over_ || !ready_.empty()) co_return Result<void>{};
        const auto beat = std::chrono::steady_clock::now() + heartbeat_;
        switch (co_await parking_.wait_past(feed_->mailbox(), seen, std::min(beat, feed_->ask_again()))) {
        case Wake::notified:
            break;
        case Wake::deadline:
            append_heartbeat(ready_);
            break;
        case Wake::gone:
            co_return fail(Code::cancelled, "the reader hung up");
        case Wake::draining:
            over_ = true;
            break;
        }
        co_return Result<void>{};
    }

    Parking& parking_; ///< the connection's: it outlives the body it sends
    std::shared_ptr<EventFeed> feed_;
    std::chrono::milliseconds heartbeat_;
    std::string ready_ = std::string(kRetry);
    std::size_t sent_ = 0;
    bool over_ = false;
};

/// Bytes of a character that begins with `first`; 1 also for what begins none.
std::size_t character_size(unsigned char first) {
    if (first >= 0xf0 && first <= 0xf4) return 4;
    if (first >= 0xe0) return first <= 0xef ? 3 : 1;
    return first >= 0xc2 ? 2 : 1;
}
} // namespace

void append_event(std::string& out, std::string_view id, std::string_view type, std::string_view data) {
    if (!id.empty()) append_field(out, "id", id);
    if (!type.empty()) append_field(out, "event", type);
    for (bool last = false; !last;) {
        const auto end = data.find_first_of("\r\n");
        last = end == std::string_view::npos;
        out.append("data: ").append(data.substr(0, end)).append("\n");
        if (!last) data.remove_prefix(end + (data.substr(end).starts_with("\r\n") ? 2 : 1));
    }
    out += '\n';
}

void append_heartbeat(std::string& out) { out += ":\n\n"; }

bool wants_event_stream(const Headers& headers) {
    for (auto accept : headers.all("Accept")) {
        while (!accept.empty()) {
            auto range = take(accept, ',');
            if (!std::ranges::equal(take(range, ';'), std::string_view("text/event-stream"), {}, lower))
                continue;
            bool refused = false;
            while (!range.empty()) {
                const auto parameter = take(range, ';');
                refused |= parameter.size() > 2 && lower(parameter[0]) == 'q' && parameter[1] == '=' &&
                           parameter.find_first_not_of("0.", 2) == std::string_view::npos;
            }
            if (!refused) return true;
        }
    }
    return false;
}

Result<std::int64_t> resume_from(const Headers& headers, std::int64_t otherwise) {
    const auto text = headers.get("Last-Event-ID");
    if (text.empty()) return otherwise;
    std::int64_t id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (error != std::errc{} || end != text.data() + text.size() || id < 0)
        return fail(Code::invalid_argument, "Last-Event-ID is not an id of this stream",
                    "leave it out to begin anew");
    return id;
}

std::size_t whole_text(std::string_view bytes) {
    auto end = bytes.size();
    if (bytes.ends_with('\r')) --end; // its LF may be the next byte
    for (std::size_t back = 1; back <= std::min<std::size_t>(end, 3); ++back) {
        const auto byte = static_cast<unsigned char>(bytes[end - back]);
        if ((byte & 0xc0) == 0x80) continue; // not the first of its character
        if (character_size(byte) > back) end -= back;
        break;
    }
    return end;
}

Response event_stream(Request& request, std::shared_ptr<EventFeed> feed,
                      std::chrono::milliseconds heartbeat) {
    Response response;
    response.headers.set("Content-Type", "text/event-stream");
    response.headers.set("Cache-Control", "no-store");
    response.headers.set("X-Accel-Buffering", "no"); // nginx would hold events back until its buffer is full
    response.body =
        StreamBody{.source = std::make_shared<EventStream>(*request.parking, std::move(feed), heartbeat),
                   .size = std::nullopt,
                   .piece_bytes = kPieceBytes};
    return response;
}

} // namespace consign::net
