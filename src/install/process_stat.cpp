#include "install/process_stat.hpp"
#include "consign/base/file.hpp"
#include <sstream>

namespace consign::install {

/// proc_pid_stat(5). The name, field 2, may hold anything, so fields are counted from its last ')'.
std::optional<ProcessStat> stat_of(pid_t pid) {
    const auto text = read_file("/proc/" + std::to_string(pid) + "/stat");
    if (!text) return std::nullopt;
    const auto name_end = text->rfind(')');
    if (name_end == std::string::npos) return std::nullopt;
    std::istringstream fields(text->substr(name_end + 1));
    ProcessStat out;
    fields >> out.state >> out.parent; // fields 3 and 4
    std::string skipped;
    for (int field = 5; field < 22; ++field) fields >> skipped;
    fields >> out.start_ticks;
    if (!fields) return std::nullopt;
    return out;
}

} // namespace consign::install
