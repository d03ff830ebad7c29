#include "install/switchover.hpp"
#include "install/health.hpp"
#include <unistd.h>

namespace consign::install {

namespace fs = std::filesystem;

ServiceSpec service_of(const ReleaseState& release, const ComponentPaths& paths) {
    return {.release = release.directory,
            .command = {.argv = release.run.service,
                        .directory = paths.release(release.directory),
                        .environment = environment_of(release.run)}};
}

Result<void> Switchover::activate(const ReleaseState& release) {
    const auto status = supervisor_.status(component_);
    // An unknown service is not stopped here: run() adopts it if it is the release's own, and stops it
    // otherwise.
    if (release.run.service.empty() || (status.running && status.release != release.directory))
        CONSIGN_CHECK(supervisor_.stop(component_));
    CONSIGN_CHECK(point_current_at(release.directory));
    if (release.run.service.empty()) return {};
    return supervisor_.run(component_, service_of(release, paths_));
}

Result<void> Switchover::restore(ComponentState& state) {
    const auto gone_back = state.active ? activate(*state.active) : deactivate();
    // Forgotten even if the way back failed: the active release is what should run, and the supervisor keeps
    // trying.
    state.candidate.reset();
    CONSIGN_CHECK(save_state(paths_, state));
    return gone_back;
}

Result<void> Switchover::deactivate() {
    CONSIGN_CHECK(supervisor_.stop(component_));
    if (::unlink(paths_.current().c_str()) != 0 && errno != ENOENT)
        return fail_errno("cannot remove '" + paths_.current().string() + "'", errno);
    return {};
}

/// A link cannot be changed in place; one that is renamed over another is never missing in between.
Result<void> Switchover::point_current_at(const std::string& release) {
    const fs::path target = fs::path("releases") / release;
    std::error_code error;
    if (fs::read_symlink(paths_.current(), error) == target && !error) return {};
    const fs::path fresh = paths_.current().string() + ".new";
    ::unlink(fresh.c_str());
    if (::symlink(target.c_str(), fresh.c_str()) != 0)
        return fail_errno("cannot make the link '" + fresh.string() + "'", errno);
    if (::rename(fresh.c_str(), paths_.current().c_str()) != 0)
        return fail_errno("cannot replace the link '" + paths_.current().string() + "'", errno);
    return fsync_directory(paths_.home);
}

} // namespace consign::install
