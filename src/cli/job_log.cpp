#include "cli/job_log.hpp"
#include "cli/text.hpp"
#include <deque>
#include <format>
#include <utility>

namespace consign::cli {
namespace {

// Below the 60 s after which proxies cut an idle request; the answer's head gets 15 s more.
constexpr int kWaitSeconds = 50;
constexpr std::chrono::seconds kAnswerDeadline(kWaitSeconds + 15);
// A tail is a glance: past this much the reader is sent to `consign logs`.
constexpr std::int64_t kTailLimitBytes = 64ll << 20;

Result<bool> has_ended(Context& context, const std::string& job, std::stop_token stop) {
    CONSIGN_TRY(view, context.get<protocol::JobView>(path_of("/v1/jobs/", job), {}, stop));
    return model::is_terminal(view.state);
}

} // namespace

Result<std::int64_t> read_log(Context& context, const std::string& job, std::int64_t offset, bool follow,
                              const OnLogPiece& on_piece, std::stop_token stop) {
    bool ended = !follow;
    for (;;) {
        const auto query = std::format("/logs?offset={}&wait={}", offset, ended ? 0 : kWaitSeconds);
        CONSIGN_TRY(piece,
                    context.get_text(path_of("/v1/jobs/", job, query), {.deadline = kAnswerDeadline}, stop));
        if (!piece.empty()) {
            const bool more = on_piece(offset, piece);
            offset += static_cast<std::int64_t>(piece.size());
            if (!more) return offset;
            continue;
        }
        // The end is asked for before the last read: what was written up to then is read before we leave.
        if (ended) return offset;
        CONSIGN_TRY(over, has_ended(context, job, stop));
        ended = over;
    }
}

Result<std::vector<std::string>> log_tail(Context& context, const std::string& job, std::size_t lines) {
    std::deque<std::string> tail;
    std::string open_line;
    const auto keep = [&](std::int64_t offset, std::string_view piece) {
        for (const char c : piece) {
            if (c != '\n') {
                open_line += c;
                continue;
            }
            tail.push_back(std::exchange(open_line, {}));
            if (tail.size() > lines) tail.pop_front();
        }
        return offset < kTailLimitBytes;
    };
    CONSIGN_CHECK(read_log(context, job, 0, false, keep));
    if (!open_line.empty()) tail.push_back(std::move(open_line));
    if (tail.size() > lines) tail.pop_front();
    return std::vector<std::string>(tail.begin(), tail.end());
}

} // namespace consign::cli
