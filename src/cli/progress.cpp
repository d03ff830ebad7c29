#include "cli/progress.hpp"
#include "cli/text.hpp"
#include <algorithm>
#include <condition_variable>
#include <format>
#include <mutex>
#include <sys/ioctl.h>
#include <thread>
#include <unistd.h>

namespace consign::cli {
namespace {

std::string current_step(const protocol::JobView& job) {
    for (auto step = job.steps.rbegin(); step != job.steps.rend(); ++step)
        if (step->attempt == job.attempt)
            return step->name + (step->detail.empty() ? "" : " (" + step->detail + ")");
    return {};
}

/// Texts such as "last seen 3 min ago" change all the time without news: compare them without their digits.
std::string without_digits(std::string text) {
    std::erase_if(text, [](char c) { return c >= '0' && c <= '9'; });
    return text;
}

/// Whether the deploy waits for something that none of its jobs says already.
bool waits_beyond_jobs(const Snapshot& snapshot) {
    if (!snapshot.waiting_for || snapshot.ended) return false;
    return std::ranges::none_of(snapshot.jobs, [&](const protocol::JobView& job) {
        return job.waiting_for && job.waiting_for->what == snapshot.waiting_for->what;
    });
}

class LineProgress final : public Progress {
  public:
    LineProgress(const Console& console, std::string title) : console_(console) { note(title); }

    void show(const Snapshot& snapshot) override {
        for (const auto& job : snapshot.jobs) say(job.id.str(), subject_of(job) + ": " + status_of(job));
        if (waits_beyond_jobs(snapshot)) say("", "waits: " + to_text(*snapshot.waiting_for));
    }
    void note(std::string_view text) override { *console_.err << printable(text) << std::endl; }
    void finish() override {}

  private:
    void say(const std::string& key, const std::string& line) {
        auto& said = said_[key];
        if (const auto gist = without_digits(line); gist != said) {
            said = gist;
            note(line);
        }
    }
    Console console_;
    std::map<std::string, std::string> said_;
};

struct TerminalSize {
    std::size_t columns = 80, rows = 24;
};
TerminalSize terminal_size() {
    winsize size = {};
    if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
    return {size.ws_col, size.ws_row};
}

/// The jobs that fit into `rows` lines: what has gone well is left out first, then the last ones.
std::vector<protocol::JobView> visible(std::vector<protocol::JobView> jobs, std::size_t rows) {
    if (jobs.size() > rows)
        std::erase_if(jobs,
                      [](const protocol::JobView& job) { return job.state == model::JobState::succeeded; });
    if (jobs.size() > rows) jobs.resize(rows);
    return jobs;
}

/// Redraws on every change, and once a second for the times, from a thread of its own.
class LiveProgress final : public Progress {
  public:
    LiveProgress(const Console& console, std::string title)
        : console_(console), title_(std::move(title)), ticker_([this](std::stop_token stop) { tick(stop); }) {
    }
    ~LiveProgress() override { stop_ticker(); }

    void show(const Snapshot& snapshot) override {
        const std::lock_guard lock(mutex_);
        snapshot_ = snapshot;
        draw();
    }
    void note(std::string_view text) override {
        const std::lock_guard lock(mutex_);
        erase();
        *console_.err << printable(text) << "\n";
        draw();
    }
    void finish() override {
        stop_ticker();
        const std::lock_guard lock(mutex_);
        draw();
    }

  private:
    void stop_ticker() {
        if (!ticker_.joinable()) return;
        ticker_.request_stop();
        ticker_.join();
    }
    void tick(std::stop_token stop) {
        std::unique_lock lock(mutex_);
        while (!stop.stop_requested()) {
            tick_.wait_for(lock, stop, std::chrono::seconds(1), [] { return false; });
            if (!stop.stop_requested()) draw();
        }
    }
    void erase() {
        if (drawn_ > 0) *console_.err << "\x1b[" << drawn_ << "A\r\x1b[J";
        drawn_ = 0;
    }
    void draw() {
        erase();
        const auto [columns, rows] = terminal_size();
        const auto now = SystemClock().now();
        line(toned(fit_width(printable(title_), columns), Tone::strong, console_.colour));
        // A block higher than the terminal could not be drawn over: title, waits, hidden and the cursor take
        // four.
        const auto jobs = visible(snapshot_.jobs, rows > 5 ? rows - 4 : 1);
        std::size_t widest = 0;
        for (const auto& job : jobs) widest = std::max(widest, display_width(printable(subject_of(job))));
        for (const auto& job : jobs) {
            const auto subject = printable(subject_of(job));
            const auto time = duration(job.started_at, job.finished_at, now);
            const auto left =
                fit_width("  " + subject + std::string(widest - display_width(subject) + 2, ' '), columns);
            const auto right = (time.empty() ? "" : time + "  ") + printable(status_of(job));
            const auto room = columns - display_width(left);
            line(left + toned(fit_width(right, room), tone_of(json::name_of(job.state)), console_.colour));
        }
        if (jobs.size() < snapshot_.jobs.size())
            line(fit_width(std::format("  … and {} more", snapshot_.jobs.size() - jobs.size()), columns));
        if (waits_beyond_jobs(snapshot_))
            line(fit_width("  waits: " + printable(to_text(*snapshot_.waiting_for)), columns));
        console_.err->flush();
    }
    void line(std::string_view text) {
        *console_.err << text << "\n";
        ++drawn_;
    }

    Console console_;
    std::string title_;
    std::mutex mutex_;
    std::condition_variable_any tick_;
    Snapshot snapshot_;
    int drawn_ = 0;
    std::jthread ticker_; // last: its thread uses the others
};

} // namespace

std::unique_ptr<Progress> make_progress(const Console& console, std::string title) {
    if (console.err_terminal) return std::make_unique<LiveProgress>(console, std::move(title));
    return std::make_unique<LineProgress>(console, std::move(title));
}

std::string subject_of(const protocol::JobView& job) {
    return job.app + (job.component.empty() ? "" : "/" + job.component) + (job.install.empty() ? "" : " @" + job.install);
}

std::string to_text(const protocol::WaitingFor& waiting) {
    return waiting.what + (waiting.hint.empty() ? "" : " (" + waiting.hint + ")");
}

std::string status_of(const protocol::JobView& job) {
    std::string text(json::name_of(job.state));
    if (job.attempt > 1) text += std::format(" (attempt {} of {})", job.attempt, job.max_attempts);
    if (model::is_terminal(job.state)) return text + (job.error.empty() ? "" : ": " + job.error);
    if (job.cancel_requested) text += ", cancel requested";
    if (const auto step = current_step(job); !step.empty() && model::is_held(job.state)) text += ": " + step;
    if (job.waiting_for) text += ", waits: " + to_text(*job.waiting_for);
    return text;
}

} // namespace consign::cli
