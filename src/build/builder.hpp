#pragma once
#include "build/source.hpp"
#include "consign/oci/remote.hpp"
#include "consign/protocol/specs.hpp"

namespace consign::build {

/// One build, the same for the daemon and for CI mode. Used by one thread, which may block.
struct BuildContext {
    std::string app;
    model::Component component;
    SourceTree source;
    net::Url registry; ///< where the artifact goes
    std::string repository;
    std::string username;
    std::function<Result<std::string>()> password; ///< asked for when the push begins: packing may take long
    net::IoThread& io;
    net::Client& http; ///< for coroutines that `io` runs
    std::filesystem::path scratch;
    std::stop_token stop;
    std::function<void(std::string_view)> step; ///< begins a step
    std::function<void(std::string_view)> log;  ///< whole lines; also called on the I/O thread, with progress
};

/// Makes the artifact of one component type and pushes it.
class Builder {
  public:
    virtual ~Builder() = default;
    virtual Result<protocol::BuildResult> build(BuildContext& context) = 0;
};

/// The builder of a component type; unsupported where this version has none.
Result<std::unique_ptr<Builder>> builder_for(model::ComponentType type);

std::unique_ptr<Builder> make_bundle_builder();

} // namespace consign::build
