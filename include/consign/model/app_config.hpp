#pragma once
// What an app is: consign.toml, parsed and checked. Pure.
#include "consign/base/json.hpp"
#include <array>

namespace consign::model {

enum class ComponentType {
    bundle,
    container_image,
    docker_build,
    helm_chart,
    terraform_module,
    kubernetes_manifest
};
/// Whether a person must agree before a component is deployed or torn down.
enum class Approval { none, required };
enum class InputType { string, number, boolean, list, map };

struct Input {
    InputType type = InputType::string;
    std::optional<json::Value> default_value = {}; ///< none: the install must give it
    std::string description = {};
    bool sensitive = false;

    static constexpr auto fields(auto& self, auto&& f) {
        f("type", self.type);
        f("default", self.default_value);
        f("description", self.description, json::kDefaulted);
        f("sensitive", self.sensitive, json::kDefaulted);
    }
};

struct GitSource {
    std::string url;
    std::string ref; ///< branch, tag or commit
    std::string dir; ///< inside the repository; empty: its root

    static constexpr auto fields(auto& self, auto&& f) {
        f("url", self.url);
        f("ref", self.ref);
        f("dir", self.dir, json::kDefaulted);
    }
};

/// Exactly one of the two.
struct Source {
    std::optional<std::string> directory; ///< relative to consign.toml
    std::optional<GitSource> git;

    static constexpr auto fields(auto& self, auto&& f) {
        f("directory", self.directory);
        f("git", self.git);
    }
};

/// Exactly one of http, tcp, command. Strings are templates.
struct HealthProbe {
    std::optional<std::string> http;  ///< URL; 2xx and 3xx are healthy
    std::optional<std::string> tcp;   ///< "host:port"
    std::vector<std::string> command; ///< exit code 0 is healthy
    int within_s = 30;                ///< from the start of the service to the first success, 1..3600

    static constexpr auto fields(auto& self, auto&& f) {
        f("http", self.http);
        f("tcp", self.tcp);
        f("command", self.command, json::kDefaulted);
        f("within_s", self.within_s, json::kDefaulted);
    }
};

using Argv = std::vector<std::string>;

/// How a bundle runs. Every string is a template ({{ inputs.port }}). Commands run in the release directory.
struct BundleRun {
    std::vector<Argv> provision;                    ///< on the first deploy of the component into an install
    std::vector<Argv> update;                       ///< on every later one; empty: the provision commands
    std::vector<Argv> teardown;                     ///< before the component is removed
    Argv service;                                   ///< kept running; empty: the bundle has no process
    std::map<std::string, std::string> environment; ///< for commands and service
    std::vector<std::string>
        templates; ///< files of the bundle, relative, whose text is interpolated at deploy
    std::optional<HealthProbe> health;

    static constexpr auto fields(auto& self, auto&& f) {
        f("provision", self.provision, json::kDefaulted);
        f("update", self.update, json::kDefaulted);
        f("teardown", self.teardown, json::kDefaulted);
        f("service", self.service, json::kDefaulted);
        f("environment", self.environment, json::kDefaulted);
        f("templates", self.templates, json::kDefaulted);
        f("health", self.health);
    }
};

struct Component {
    std::string name; ///< [a-z0-9-], at most 63
    ComponentType type = ComponentType::bundle;
    Source source;
    std::vector<std::string> depends_on;
    Approval approval = Approval::none;
    int timeout_s = 0;    ///< of one attempt to deploy it or tear it down; 0: the kind's limit
    int max_attempts = 0; ///< 1..20; 0: the kind's
    BundleRun run;        ///< bundle only

    static constexpr auto fields(auto& self, auto&& f) {
        f("name", self.name);
        f("type", self.type);
        f("source", self.source);
        f("depends_on", self.depends_on, json::kDefaulted);
        f("approval", self.approval, json::kDefaulted);
        f("timeout_s", self.timeout_s, json::kDefaulted);
        f("max_attempts", self.max_attempts, json::kDefaulted);
        f("run", self.run, json::kDefaulted);
    }
};

struct AppConfig {
    std::string app; ///< [a-z0-9-], at most 63
    std::string description;
    std::map<std::string, Input> inputs;
    std::vector<Component> components; ///< in dependency order after parsing; ties in the order written

    const Component* component(std::string_view name) const;

    static constexpr auto fields(auto& self, auto&& f) {
        f("app", self.app);
        f("description", self.description, json::kDefaulted);
        f("inputs", self.inputs, json::kDefaulted);
        f("components", self.components);
    }
};

/// One thing wrong with a consign.toml: where, and what to write instead.
struct Fault {
    std::string file;
    int line = 0, column = 0; ///< 1-based; 0: the file as a whole
    std::string path;         ///< "component[web].run.health.within_s"
    std::string message;
    std::string hint;

    static constexpr auto fields(auto& self, auto&& f) {
        f("file", self.file);
        f("line", self.line);
        f("column", self.column);
        f("path", self.path);
        f("message", self.message);
        f("hint", self.hint, json::kDefaulted);
    }
};
/// "consign.toml:12:3: component[web].depends_on: no component is named 'dbb' (did you mean 'db'?)"
std::string to_string(const Fault& fault);

/// All faults in one go: syntax, unknown keys (with the nearest known one), wrong types, bad names, duplicate
/// names, unknown or cyclic depends_on, template paths that nothing declares, a component type this version
/// cannot deploy.
std::expected<AppConfig, std::vector<Fault>> parse_app_config(std::string_view toml,
                                                              std::string_view file_name);

/// [a-z0-9]([a-z0-9-]*[a-z0-9])?, at most 63 characters: apps, components, installs.
bool is_name(std::string_view text);

/// The candidate nearest to `word` by edit distance, if near enough to be a likely typo.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates);

} // namespace consign::model

template <>
struct consign::json::EnumNames<consign::model::ComponentType> {
    using E = consign::model::ComponentType;
    static constexpr std::array<std::pair<E, std::string_view>, 6> names{{
        {E::bundle, "bundle"},
        {E::container_image, "container_image"},
        {E::docker_build, "docker_build"},
        {E::helm_chart, "helm_chart"},
        {E::terraform_module, "terraform_module"},
        {E::kubernetes_manifest, "kubernetes_manifest"},
    }};
};
template <>
struct consign::json::EnumNames<consign::model::Approval> {
    using E = consign::model::Approval;
    static constexpr std::array<std::pair<E, std::string_view>, 2> names{
        {{E::none, "none"}, {E::required, "required"}}};
};
template <>
struct consign::json::EnumNames<consign::model::InputType> {
    using E = consign::model::InputType;
    static constexpr std::array<std::pair<E, std::string_view>, 5> names{{
        {E::string, "string"},
        {E::number, "number"},
        {E::boolean, "bool"},
        {E::list, "list"},
        {E::map, "map"},
    }};
};

// Compiled once, in src/model/codec.cpp: these codecs are the larger part of what their users would compile.
#define CONSIGN_MODEL_CODECS(X)                                                                              \
    X(model::Input)                                                                                          \
    X(model::Source)                                                                                         \
    X(model::HealthProbe)                                                                                    \
    X(model::BundleRun)                                                                                      \
    X(model::Component)                                                                                      \
    X(model::AppConfig)                                                                                      \
    X(model::Fault)
namespace consign::json {
CONSIGN_MODEL_CODECS(CONSIGN_JSON_EXTERN)
} // namespace consign::json
