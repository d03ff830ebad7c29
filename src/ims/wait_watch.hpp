#pragma once
// Tells the event log why jobs wait, when they have waited for a while and whenever the reason changes: whoever
// follows the events need not ask for each job.
#include "core.hpp"

namespace consign::ims {

/// On one executor.
class WaitWatch {
  public:
    /// Looks at the jobs that are queued, 500 at most, and writes a `job.waiting` event for each news.
    net::Async<> look(Core& core);

  private:
    std::map<JobId, std::string> told_; ///< why, as it was told last
};

} // namespace consign::ims
