#pragma once
// What a job carries to its agent (`spec`) and brings back (`result`), per kind.
#include "consign/protocol/types.hpp"

namespace consign::protocol {

struct BuildSpec {
    BuildId build;
    std::string app;
    int config_version = 0;
    model::Component component;
    std::optional<ArtifactRef> source; ///< the uploaded source tree; none: the component's git source
    std::string registry;   ///< URL of the vendor registry; the agent's access token is the password
    std::string repository; ///< where the artifact goes

    static constexpr auto fields(auto& self, auto&& f) {
        f("build", self.build);
        f("app", self.app);
        f("config_version", self.config_version);
        f("component", self.component);
        f("source", self.source);
        f("registry", self.registry);
        f("repository", self.repository);
    }
};

struct BuildResult {
    Digest digest;
    std::string media_type;
    std::uint64_t size = 0;     ///< bytes of the layer
    std::string source_version; ///< commit of a git source, digest of an uploaded one

    static constexpr auto fields(auto& self, auto&& f) {
        f("digest", self.digest);
        f("media_type", self.media_type);
        f("size", self.size);
        f("source_version", self.source_version, json::kDefaulted);
    }
};

struct ApplySpec {
    InstallId install;
    std::string install_name;
    std::string app;
    std::string release; ///< version
    model::Component component;
    std::map<std::string, json::Value> inputs; ///< complete and checked
    std::vector<std::string> sensitive;        ///< names of inputs whose values must never be logged
    ArtifactRef artifact;
    std::map<std::string, ArtifactRef> dependencies; ///< artifacts of the components it depends on

    static constexpr auto fields(auto& self, auto&& f) {
        f("install", self.install);
        f("install_name", self.install_name);
        f("app", self.app);
        f("release", self.release);
        f("component", self.component);
        f("inputs", self.inputs);
        f("sensitive", self.sensitive, json::kDefaulted);
        f("artifact", self.artifact);
        f("dependencies", self.dependencies, json::kDefaulted);
    }
};

/// Sent with success and with failure: what runs now.
struct ApplyResult {
    std::string active_release;   ///< version that runs now; empty: none
    std::optional<Digest> active; ///< its artifact
    bool rolled_back = false;     ///< the new release failed and `active_release` is the one before
    bool changed = false;         ///< false: the desired state was there already

    static constexpr auto fields(auto& self, auto&& f) {
        f("active_release", self.active_release, json::kDefaulted);
        f("active", self.active);
        f("rolled_back", self.rolled_back, json::kDefaulted);
        f("changed", self.changed, json::kDefaulted);
    }
};

struct TeardownSpec {
    InstallId install;
    std::string install_name;
    std::string app;
    std::string component;

    static constexpr auto fields(auto& self, auto&& f) {
        f("install", self.install);
        f("install_name", self.install_name);
        f("app", self.app);
        f("component", self.component);
    }
};

/// A health, drift or gc job: of the install as a whole.
struct InstallSpec {
    InstallId install;
    std::string install_name;

    static constexpr auto fields(auto& self, auto&& f) {
        f("install", self.install);
        f("install_name", self.install_name);
    }
};

/// What a health or drift job found out about one component.
struct Finding {
    bool good = true;
    std::string detail; ///< one line; empty when there is nothing to say

    static constexpr auto fields(auto& self, auto&& f) {
        f("good", self.good);
        f("detail", self.detail, json::kDefaulted);
    }
};
/// The result of a health or drift job.
struct FindingsResult {
    std::map<std::string, Finding> components;
    static constexpr auto fields(auto& self, auto&& f) { f("components", self.components); }
};
/// The result of a gc job.
struct CollectResult {
    std::uint64_t bytes_freed = 0;
    int blobs_removed = 0;
    static constexpr auto fields(auto& self, auto&& f) {
        f("bytes_freed", self.bytes_freed);
        f("blobs_removed", self.blobs_removed);
    }
};

} // namespace consign::protocol

// Compiled once, in src/protocol/specs_codec.cpp: these codecs are the larger part of what their users would
// compile.
#define CONSIGN_SPEC_CODECS(X)                                                                               \
    X(protocol::ArtifactRef)                                                                                 \
    X(protocol::BuildSpec)                                                                                   \
    X(protocol::BuildResult)                                                                                 \
    X(protocol::ApplySpec)                                                                                   \
    X(protocol::ApplyResult)                                                                                 \
    X(protocol::TeardownSpec)                                                                                \
    X(protocol::InstallSpec)                                                                                 \
    X(protocol::FindingsResult)                                                                              \
    X(protocol::CollectResult)
namespace consign::json {
CONSIGN_SPEC_CODECS(CONSIGN_JSON_EXTERN)
} // namespace consign::json
