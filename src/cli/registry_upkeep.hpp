#pragma once
// `consign registry gc` and `scrub`: the IMS does them, these start them and show how they go.
#include "cli/context.hpp"

namespace consign::cli {

struct UpkeepFlags {
    bool dry_run = false;
    std::chrono::seconds grace = std::chrono::hours(24);
    int mib_per_s = 64;
};
/// `owner` keeps `flags` alive.
CommandSpec gc_command(std::shared_ptr<void> owner, UpkeepFlags& flags);
CommandSpec scrub_command(std::shared_ptr<void> owner, UpkeepFlags& flags);

} // namespace consign::cli
