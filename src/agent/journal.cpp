#include "agent/journal.hpp"
#include "consign/base/file.hpp"
#include "consign/base/log.hpp"
#include <charconv>

namespace consign::agent {

Journal::Journal(std::filesystem::path data)
    : session_(data / "session"), jobs_(data / "jobs"), scratch_(std::move(data) / "scratch") {}

Result<SessionId> Journal::next_session(Time now) {
    // The file holds the milliseconds that the last id was made with.
    const auto text = read_file(session_, 64);
    std::int64_t last = 0;
    if (text) std::from_chars(text->data(), text->data() + text->size(), last);
    const auto millis = std::max(to_millis(now), last + 1);
    CONSIGN_CHECK(write_file_atomic(session_, std::to_string(millis), 0600));
    return SessionId::make(from_millis(millis));
}

std::filesystem::path Journal::entry_file(const JobId& job) const { return jobs_ / (job.str() + ".json"); }

std::filesystem::path Journal::scratch(const protocol::Lease& lease) const {
    return scratch_ / (lease.job.str() + "-" + std::to_string(lease.attempt));
}

Result<void> Journal::begin(const protocol::Lease& lease, Time now) {
    const Entry entry{.job = lease.job,
                      .epoch = lease.epoch,
                      .attempt = lease.attempt,
                      .kind = lease.kind,
                      .started_at = now};
    CONSIGN_CHECK(make_directories(jobs_, 0700));
    CONSIGN_CHECK(write_file_atomic(entry_file(lease.job), std::string_view(json::to_text(entry)), 0600));
    CONSIGN_CHECK(remove_tree(scratch(lease)));
    return make_directories(scratch(lease), 0700);
}

void Journal::end(const protocol::Lease& lease) {
    // The scratch directory first: should we die in between, the entry is what a new process cleans up by.
    for (const auto& path : {scratch(lease), entry_file(lease.job)})
        if (const auto removed = remove_tree(path); !removed)
            log::warn("cannot clean up after a job",
                      {{"job", lease.job.str()}, {"error", removed.error().message}});
}

Result<std::vector<Journal::Entry>> Journal::take_leftovers() {
    std::vector<Entry> entries;
    std::error_code error;
    for (std::filesystem::directory_iterator at(jobs_, error), end; !error && at != end;
         at.increment(error)) {
        const auto text = read_file(at->path(), 1u << 20);
        if (!text) continue;
        if (auto entry = json::decode_text<Entry>(*text)) entries.push_back(std::move(*entry));
    }
    if (error && error != std::errc::no_such_file_or_directory)
        return fail(Code::internal, "cannot read " + jobs_.string() + ": " + error.message());
    CONSIGN_CHECK(remove_tree(scratch_));
    CONSIGN_CHECK(remove_tree(jobs_));
    return entries;
}

} // namespace consign::agent
