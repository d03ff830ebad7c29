#pragma once
#include "consign/protocol/agent_api.hpp"
#include <filesystem>

namespace consign::agent {

/// What this agent works on, on disk, so that a new process knows what a crashed one left behind:
/// DATA/jobs/<job>.json, and a scratch directory per attempt. Blocks; calls for different jobs may come from
/// different threads.
class Journal {
  public:
    struct Entry {
        JobId job;
        std::int64_t epoch = 0;
        int attempt = 1;
        protocol::JobKind kind = protocol::JobKind::build;
        Time started_at{};

        static constexpr auto fields(auto& self, auto&& f) {
            f("job", self.job);
            f("epoch", self.epoch);
            f("attempt", self.attempt);
            f("kind", self.kind);
            f("started_at", self.started_at);
        }
    };

    explicit Journal(std::filesystem::path data);

    /// The id of a new session: greater than that of any before it in this directory, also when the clock was
    /// set back meanwhile. The IMS takes the greatest for the one that lives.
    Result<SessionId> next_session(Time now);

    /// Writes the entry and makes an empty scratch directory.
    Result<void> begin(const protocol::Lease& lease, Time now);
    /// Removes both.
    void end(const protocol::Lease& lease);
    std::filesystem::path scratch(const protocol::Lease& lease) const;

    /// The attempts that a crash cut short; forgets them and removes every scratch directory. Once, before
    /// the first begin(). A damaged entry is dropped: it says nothing that the IMS does not know better.
    Result<std::vector<Entry>> take_leftovers();

  private:
    std::filesystem::path entry_file(const JobId& job) const;
    std::filesystem::path session_, jobs_, scratch_;
};

} // namespace consign::agent
