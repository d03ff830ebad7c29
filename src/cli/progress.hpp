#pragma once
// How a wait looks: a block redrawn in place on a terminal, one line per change everywhere else.
#include "cli/output.hpp"
#include "consign/protocol/user_api.hpp"
#include <memory>

namespace consign::cli {

/// What is being waited for, as last seen.
struct Snapshot {
    std::vector<protocol::JobView> jobs;
    std::optional<protocol::WaitingFor> waiting_for; ///< of the deploy as a whole
    bool ended = false;
};

class Progress {
  public:
    virtual ~Progress() = default;
    virtual void show(const Snapshot& snapshot) = 0;
    /// A line that stays, such as "lost the connection, trying again".
    virtual void note(std::string_view text) = 0;
    /// No more changes: what is drawn stays.
    virtual void finish() = 0;
};

std::unique_ptr<Progress> make_progress(const Console& console, std::string title);

/// "shop/web", with " @acme" for a job of an install.
std::string subject_of(const protocol::JobView& job);
/// What a job does now: "running: start service", "queued, waits: agent acme was last seen 3 min ago".
std::string status_of(const protocol::JobView& job);
/// "what (hint)"
std::string to_text(const protocol::WaitingFor& waiting);

} // namespace consign::cli
