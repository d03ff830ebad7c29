#pragma once
// Apps, their immutable config versions, and releases.
#include "change.hpp"

namespace consign::ims::apps {

Result<protocol::AppView> get(store::Connection& c, std::string_view name); ///< not_found
Result<model::AppConfig> config_at(store::Connection& c, const AppId& app, int version);
Result<std::vector<protocol::AppView>> list(store::Connection& c);

/// Makes a new config version if `config` differs from the newest one.
Result<protocol::AppView> apply(Change& change, const model::AppConfig& config, std::string_view toml,
                                std::string_view actor);

/// The newest successful build of each component of the newest config; conflict names what is not built.
Result<protocol::ReleaseView> create_release(Change& change, std::string_view app, std::string version);
/// `version` empty: the newest. not_found says what there is.
Result<protocol::ReleaseView> release(store::Connection& c, std::string_view app, std::string_view version);
Result<std::vector<protocol::ReleaseView>> releases(store::Connection& c, std::string_view app);

} // namespace consign::ims::apps
