#pragma once
// What this machine knows about one component, in DATA/components/<component>/state.json. Written atomically
// and fsynced before each step that changes what runs, so that a kill at any moment leaves a state to go on
// from:
//
//   active only         the confirmed release runs
//   active + candidate  a switch to `candidate` has begun and its health is not confirmed; `active` is the
//   way back candidate only      the same on the first deploy: the way back is that nothing runs neither
//   nothing runs
#include "consign/protocol/specs.hpp"
#include "install/paths.hpp"

namespace consign::install {

struct ReleaseState {
    std::string version;
    protocol::ArtifactRef artifact;
    std::string directory; ///< name below releases/; also names the service that runs from it
    model::BundleRun run;  ///< rendered: may hold secrets, hence mode 0600

    static constexpr auto fields(auto& self, auto&& f) {
        f("version", self.version);
        f("artifact", self.artifact);
        f("directory", self.directory);
        f("run", self.run, json::kDefaulted);
    }
};

struct ComponentState {
    static constexpr int kFormat = 1;
    int format = kFormat;
    model::ComponentType type = model::ComponentType::bundle;
    std::optional<ReleaseState> active, candidate;
    std::optional<ReleaseState> previous; ///< its directory is kept; deploying it again unpacks nothing

    static constexpr auto fields(auto& self, auto&& f) {
        f("format", self.format);
        f("type", self.type);
        f("active", self.active);
        f("candidate", self.candidate);
        f("previous", self.previous);
    }
};

// Both block. load: nullopt if the component is not here; corrupt, or unsupported for a newer format.
Result<std::optional<ComponentState>> load_state(const ComponentPaths& paths);
Result<void> save_state(const ComponentPaths& paths, const ComponentState& state);

/// What the state means to the server.
protocol::ApplyResult result_of(const ComponentState& state);

} // namespace consign::install
