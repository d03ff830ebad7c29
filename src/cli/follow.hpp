#pragma once
#include "cli/context.hpp"
#include "cli/progress.hpp"

namespace consign::cli {

/// What to wait for.
struct Followed {
    std::string title;                                        ///< "deploy of acme to 1.1"
    std::string resume;                                       ///< the command that shows it later
    std::function<Result<Snapshot>(std::stop_token)> look;    ///< its state now
    std::function<bool(const protocol::EventView&)> concerns; ///< whether an event is about it
};

/// Shows progress until it has ended. Looks again on every event that concerns it, and every few seconds,
/// because the reason for waiting changes without an event. Rides out an IMS that restarts. Errors: cancelled
/// on Ctrl-C, which ends the waiting alone and says how to go on.
Result<Snapshot> follow(Context& context, const Followed& followed);

/// The jobs with their steps, each read anew unless `known` has its end.
Result<std::vector<protocol::JobView>> look_at_jobs(Context& context, const std::vector<JobId>& jobs,
                                                    const std::vector<protocol::JobView>& known,
                                                    std::stop_token stop);

/// On stderr, the last lines of the log of each job that failed. Why it failed has been said by the progress.
void show_failed_logs(Context& context, const std::vector<protocol::JobView>& jobs);

} // namespace consign::cli
