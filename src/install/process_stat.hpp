#pragma once
#include <cstdint>
#include <optional>
#include <sys/types.h>

namespace consign::install {

/// Of /proc/<pid>/stat.
struct ProcessStat {
    char state = '?';
    pid_t parent = 0;
    std::uint64_t start_ticks = 0;
};
/// nullopt: there is no such process.
std::optional<ProcessStat> stat_of(pid_t pid);

} // namespace consign::install
