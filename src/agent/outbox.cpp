#include "agent/outbox.hpp"
#include "consign/base/log.hpp"
#include <algorithm>

namespace consign::agent {

Outbox::Outbox(std::int64_t offset, net::Mailbox& wake, std::size_t limit_bytes)
    : wake_(wake), limit_(limit_bytes), offset_(offset) {}

// The shipper is woken when it must start to count the delay, and when a batch is full: not for every line.
void Outbox::push_locked(std::string_view text) {
    const bool first = log_.empty(), below = log_.size() < kBatchBytes;
    if (first) oldest_ = std::chrono::steady_clock::now();
    log_ += text;
    if (first || (below && log_.size() >= kBatchBytes)) wake_.notify();
}

void Outbox::append(std::string_view text, const std::stop_token& stop, bool may_wait) {
    std::unique_lock lock(mutex_);
    while (!text.empty() && !no_log_) {
        if (log_.size() >= limit_) {
            const auto has_room = [this] { return log_.size() < limit_ || no_log_; };
            if (!may_wait || !room_.wait(lock, stop, has_room)) break;
            continue;
        }
        const auto part = text.substr(0, limit_ - log_.size());
        push_locked(part);
        text.remove_prefix(part.size());
    }
    dropped_ += text.size();
}

void Outbox::report(protocol::StepReport step) {
    const std::scoped_lock lock(mutex_);
    if (abandoned_) return;
    const auto same = std::ranges::find(steps_, step.seq, &protocol::StepReport::seq);
    if (same != steps_.end())
        *same = std::move(step);
    else
        steps_.push_back(std::move(step));
    wake_.notify();
}

void Outbox::close() {
    const std::scoped_lock lock(mutex_);
    if (dropped_ > 0 && !no_log_)
        push_locked("consign: " + std::to_string(dropped_) +
                    " bytes of output were dropped: the IMS was away\n");
    closed_ = true;
    wake_.notify();
}

std::optional<net::SteadyTime> Outbox::due() const {
    const std::scoped_lock lock(mutex_);
    if (!steps_.empty() || (!log_.empty() && (closed_ || log_.size() >= kBatchBytes)))
        return net::SteadyTime::min();
    if (log_.empty()) return std::nullopt;
    return oldest_ + kBatchDelay;
}

Outbox::Piece Outbox::next_piece() const {
    const std::scoped_lock lock(mutex_);
    return {.offset = offset_, .bytes = log_.substr(0, kBatchBytes)};
}

bool Outbox::resume_at(std::int64_t offset) {
    const std::scoped_lock lock(mutex_);
    if (no_log_ || offset == offset_) return false;
    const auto size = static_cast<std::int64_t>(log_.size());
    if (offset > offset_ && offset <= offset_ + size) {
        log_.erase(0, static_cast<std::size_t>(offset - offset_));
        oldest_ = std::chrono::steady_clock::now();
        room_.notify_all();
    } else {
        // Not a retry of ours: the server's log was restored, or holds what we never wrote. What we hold is
        // new to it either way, and goes where it wants it.
        log::warn("the IMS's log of a job does not join ours", {{"ours", offset_}, {"theirs", offset}});
    }
    offset_ = offset;
    return true;
}

std::vector<protocol::StepReport> Outbox::take_steps() {
    const std::scoped_lock lock(mutex_);
    return std::exchange(steps_, {});
}

void Outbox::put_back(std::vector<protocol::StepReport> steps) {
    const std::scoped_lock lock(mutex_);
    if (abandoned_) return;
    for (auto& newer : steps_) {
        const auto same = std::ranges::find(steps, newer.seq, &protocol::StepReport::seq);
        if (same != steps.end())
            *same = std::move(newer);
        else
            steps.push_back(std::move(newer));
    }
    steps_ = std::move(steps);
}

void Outbox::discard_log() {
    const std::scoped_lock lock(mutex_);
    no_log_ = true;
    log_.clear();
    log_.shrink_to_fit();
    room_.notify_all();
}

void Outbox::abandon() {
    discard_log();
    const std::scoped_lock lock(mutex_);
    abandoned_ = true;
    steps_.clear();
    wake_.notify();
}

bool Outbox::closed() const {
    const std::scoped_lock lock(mutex_);
    return closed_;
}

bool Outbox::abandoned() const {
    const std::scoped_lock lock(mutex_);
    return abandoned_;
}

} // namespace consign::agent
