#include "install/service_record.hpp"
#include "install/process_stat.hpp"
#include <sstream>

namespace consign::install {

const std::string& boot_id() {
    static const std::string id = [] {
        auto text = read_file("/proc/sys/kernel/random/boot_id");
        if (!text) return std::string("unknown");
        while (!text->empty() && (text->back() == '\n' || text->back() == ' ')) text->pop_back();
        return *text;
    }();
    return id;
}

std::optional<ServiceRecord> read_service_record(const ComponentPaths& paths) {
    const auto text = read_file(paths.service_record(), 4096);
    if (!text) return std::nullopt;
    std::istringstream fields(*text);
    ServiceRecord out;
    fields >> out.boot >> out.release >> out.pid >> out.start_ticks;
    if (!fields || out.pid <= 1) return std::nullopt;
    return out;
}

std::optional<std::uint64_t> start_ticks_of(pid_t pid) {
    const auto stat = stat_of(pid);
    if (!stat || stat->state == 'Z' || stat->state == 'X') return std::nullopt;
    return stat->start_ticks;
}

bool is_alive(const ServiceRecord& record) {
    return record.boot == boot_id() && start_ticks_of(record.pid) == record.start_ticks;
}

} // namespace consign::install
