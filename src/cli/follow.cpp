#include "cli/follow.hpp"
#include "cli/interrupt.hpp"
#include "cli/job_log.hpp"
#include "cli/text.hpp"
#include "consign/base/random.hpp"
#include "consign/net/backoff.hpp"
#include <algorithm>
#include <condition_variable>
#include <format>
#include <mutex>

namespace consign::cli {
namespace {

using protocol::EventView;
using protocol::JobView;
using std::chrono::steady_clock;

// No event tells that an agent has gone silent, so the state is read at least this often.
constexpr int kLookEverySeconds = 10;
constexpr int kFirstLookSeconds = 1;
constexpr std::chrono::seconds kAnswerDeadline(kLookEverySeconds + 15);
// An IMS that restarts is back within seconds; one that stays away this long is a failure to report.
constexpr std::chrono::minutes kPatience(2);
constexpr std::size_t kTailLines = 20;

bool is_passing(Code code) {
    return code == Code::unavailable || code == Code::timed_out || code == Code::rate_limited;
}

void pause(std::chrono::milliseconds duration, const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    wake.wait_for(lock, stop, duration, [] { return false; });
}

/// Reads the event stream and remembers how far.
class News {
  public:
    News(Context& context, const Followed& followed) : context_(context), followed_(followed) {}

    /// Returns when something that concerns us has happened, or it is time to look again anyway.
    Result<void> wait(std::stop_token stop) {
        const auto until = steady_clock::now() + std::chrono::seconds(kLookEverySeconds);
        while (steady_clock::now() < until && !stop.stop_requested()) {
            // Until the first event is seen we do not know where the stream stands, and what happened since
            // the last look would be missed: look again soon.
            const int wait = seen_ < 0 ? kFirstLookSeconds : kLookEverySeconds;
            const auto path = std::format("/v1/events?after={}&wait={}", seen_, wait);
            CONSIGN_TRY(events,
                        context_.get<protocol::List<EventView>>(path, {.deadline = kAnswerDeadline}, stop));
            if (events.items.empty()) return {};
            bool concerned = false;
            for (const auto& event : events.items) {
                seen_ = std::max(seen_, event.seq);
                concerned = concerned || followed_.concerns(event);
            }
            if (concerned) return {};
        }
        return {};
    }

  private:
    Context& context_;
    const Followed& followed_;
    std::int64_t seen_ = -1; ///< -1: the end of the stream, wherever that is
};

/// Repeats what fails in passing until it has failed for too long.
class Patience {
  public:
    /// Whether to try again; pauses before it says yes.
    bool bear(const Error& error, Progress& progress, const std::stop_token& stop) {
        if (!is_passing(error.code) || stop.stop_requested()) return false;
        const auto now = steady_clock::now();
        if (!since_) {
            since_ = now;
            progress.note("lost the IMS, trying again: " + error.message);
        }
        if (now - *since_ > kPatience) return false;
        pause(backoff_.next(), stop);
        return true;
    }
    void reset() {
        since_.reset();
        backoff_.reset();
    }

  private:
    std::optional<steady_clock::time_point> since_;
    net::Backoff backoff_{std::chrono::milliseconds(250), std::chrono::seconds(5), random_unit};
};

} // namespace

Result<Snapshot> follow(Context& context, const Followed& followed) {
    const Interrupt interrupt;
    const auto progress = make_progress(context.console(), followed.title);
    News news(context, followed);
    Patience patience;
    for (;;) {
        auto snapshot = followed.look(interrupt.token());
        std::optional<Error> trouble;
        if (snapshot) {
            progress->show(*snapshot);
            if (snapshot->ended) {
                progress->finish();
                return snapshot;
            }
            if (auto waited = news.wait(interrupt.token()); !waited) trouble = waited.error();
        } else {
            trouble = snapshot.error();
        }
        if (interrupt.requested()) {
            progress->finish();
            return fail(Code::cancelled, "stopped waiting; it goes on without this terminal",
                        "see how it is: " + followed.resume);
        }
        if (!trouble)
            patience.reset();
        else if (!patience.bear(*trouble, *progress, interrupt.token()) && !interrupt.requested()) {
            progress->finish();
            return std::unexpected(*trouble);
        }
    }
}

Result<std::vector<JobView>> look_at_jobs(Context& context, const std::vector<JobId>& jobs,
                                          const std::vector<JobView>& known, std::stop_token stop) {
    std::vector<JobView> out;
    for (const auto& id : jobs) {
        const auto before = std::ranges::find(known, id, &JobView::id);
        if (before != known.end() && model::is_terminal(before->state)) {
            out.push_back(*before);
            continue;
        }
        CONSIGN_TRY(job, context.get<JobView>(path_of("/v1/jobs/", id.str()), {}, stop));
        out.push_back(std::move(job));
    }
    return out;
}

void show_failed_logs(Context& context, const std::vector<JobView>& jobs) {
    using model::JobState;
    for (const auto& job : jobs) {
        if (job.state != JobState::failed && job.state != JobState::timed_out) continue;
        const auto tail = log_tail(context, job.id.str(), kTailLines);
        if (!tail || tail->empty()) continue;
        auto text = subject_of(job) + ": the end of its log (all of it: consign logs " + job.id.str() + ")";
        for (const auto& line : *tail) text += "\n  | " + line;
        context.note(text);
    }
}

} // namespace consign::cli
