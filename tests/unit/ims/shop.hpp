#pragma once
// The app that tests of installs and agents need.
#include "fixture.hpp"

namespace consign::ims {

/// An app `shop` of the components web and db, with an input that must be given and one that is secret.
inline model::AppConfig shop_config() {
    model::AppConfig config{.app = "shop"};
    config.inputs["port"] = {.type = model::InputType::number};
    config.inputs["password"] = {.default_value = "swordfish", .sensitive = true};
    config.components.push_back({.name = "db", .source = {.directory = "db"}});
    config.components.push_back({.name = "web", .source = {.directory = "web"}, .depends_on = {"db"}});
    return config;
}

inline Result<installs::Install> seed_install(Change& change, const std::string& name) {
    CONSIGN_CHECK(apps::apply(change, shop_config(), "", "ann"));
    return installs::create(change, {.name = name, .app = "shop", .inputs = {{"port", 80}}}, "ann");
}

} // namespace consign::ims
