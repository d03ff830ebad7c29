#pragma once
// Installs: one customer's instance of an app each, and what runs there.
#include "change.hpp"

namespace consign::ims::installs {

struct Install {
    InstallId id;
    std::string name, app;
    std::map<std::string, json::Value> inputs; ///< as given; defaults are filled in per deploy
    AgentId agent;
    std::string release;
    Time created_at{};
};

Result<Install> get(store::Connection& c, std::string_view name); ///< not_found
Result<Install> by_id(store::Connection& c, const InstallId& id);
Result<std::vector<Install>> list(store::Connection& c);
Result<std::vector<protocol::InstallComponentView>> components(store::Connection& c, const Install& install);
/// For people: with its components, sensitive values hidden.
Result<protocol::InstallView> view(store::Connection& c, const Install& install);

Result<Install> create(Change& change, const protocol::CreateInstallRequest& request, std::string_view actor);
Result<Install> set_inputs(Change& change, std::string_view name,
                           const std::map<std::string, json::Value>& inputs, std::string_view actor);
Result<void> set_component(Change& change, const InstallId& install,
                           const protocol::InstallComponentView& component);
Result<void> set_release(Change& change, const InstallId& install, std::string_view release);

} // namespace consign::ims::installs
