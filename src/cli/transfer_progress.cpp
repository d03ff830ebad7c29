#include "cli/transfer_progress.hpp"
#include "cli/text.hpp"
#include <algorithm>
#include <format>
#include <sys/ioctl.h>
#include <unistd.h>

namespace consign::cli {
namespace {

constexpr auto kRedrawEvery = std::chrono::milliseconds(100);
constexpr std::size_t kBarWidth = 24;

std::pair<std::size_t, std::size_t> terminal_size() {
    winsize size = {};
    if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
        return {80, 24};
    return {size.ws_col, size.ws_row};
}

} // namespace

std::string bar(std::uint64_t done, std::uint64_t total, std::size_t width) {
    const auto filled =
        total == 0 ? width
                   : static_cast<std::size_t>(static_cast<double>(std::min(done, total)) /
                                              static_cast<double>(total) * static_cast<double>(width));
    return "[" + std::string(filled, '#') + std::string(width - filled, '-') + "]";
}

TransferProgress::TransferProgress(const Console& console, std::string title)
    : console_(console), title_(std::move(title)), began_(std::chrono::steady_clock::now()) {}

TransferProgress::~TransferProgress() {
    const std::lock_guard lock(mutex_);
    erase();
    if (console_.err_terminal) console_.err->flush();
}

void TransferProgress::show(const oci::CopyProgress& progress) {
    const std::lock_guard lock(mutex_);
    // It comes with every piece: what is not drawn is not copied.
    last_.bytes_total = progress.bytes_total, last_.blobs_total = progress.blobs_total;
    last_.bytes_done = progress.bytes_done, last_.blobs_done = progress.blobs_done;
    last_.bytes_skipped = progress.bytes_skipped;
    if (!console_.err_terminal) return;
    const auto now = std::chrono::steady_clock::now();
    if (now - drawn_at_ < kRedrawEvery) return;
    drawn_at_ = now;
    last_.active = progress.active;
    draw();
}

std::vector<std::string> TransferProgress::lines(const std::string& title, const oci::CopyProgress& progress,
                                                 double seconds, std::size_t columns, std::size_t rows) {
    std::vector<std::string> out;
    const auto add = [&](std::string line) { out.push_back(fit_width(line, columns)); };
    const auto done = progress.bytes_done + progress.bytes_skipped;
    add(printable(title));
    const auto rate = seconds > 0.5 ? static_cast<double>(progress.bytes_done) / seconds : 0.0;
    add(std::format("  {}  {} of {}, {}/s, {} of {} blobs", bar(done, progress.bytes_total, kBarWidth),
                    human_size(done), human_size(progress.bytes_total),
                    human_size(static_cast<std::uint64_t>(rate)), progress.blobs_done, progress.blobs_total));
    // A block higher than the terminal could not be drawn over.
    const auto room = rows > out.size() + 1 ? rows - out.size() - 1 : 0;
    for (std::size_t i = 0; i < std::min(room, progress.active.size()); ++i) {
        const auto& one = progress.active[i];
        add(std::format("  {}  {}  {} of {}", bar(one.done, one.size, kBarWidth), short_digest(one.digest),
                        human_size(one.done), human_size(one.size)));
    }
    return out;
}

void TransferProgress::draw() {
    erase();
    const auto [columns, rows] = terminal_size();
    const auto seconds = std::chrono::duration<double>(drawn_at_ - began_).count();
    for (const auto& line : lines(title_, last_, seconds, columns, rows)) {
        *console_.err << line << "\n";
        ++drawn_;
    }
    console_.err->flush();
}

void TransferProgress::erase() {
    if (drawn_ > 0) *console_.err << "\x1b[" << drawn_ << "A\r\x1b[J";
    drawn_ = 0;
}

} // namespace consign::cli
