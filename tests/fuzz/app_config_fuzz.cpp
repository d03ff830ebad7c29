// Any text either is a config whose promises hold, or has faults that can be shown.
#include "consign/model/app_config.hpp"
#include "consign/model/interpolate.hpp"
#include "consign/model/template_scope.hpp"
#include <algorithm>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace consign;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto config = model::parse_app_config(text, "consign.toml");
    if (!config) {
        if (config.error().empty()) std::abort();
        for (const auto& fault : config.error())
            if (fault.message.empty() || !model::to_string(fault).starts_with("consign.toml")) std::abort();
        return 0;
    }
    if (!model::is_name(config->app) || config->components.empty()) std::abort();
    std::set<std::string> before;
    for (const auto& component : config->components) {
        if (!model::is_name(component.name)) std::abort();
        if (component.source.directory.has_value() == component.source.git.has_value()) std::abort();
        for (const auto& need : component.depends_on)
            if (!before.contains(need)) std::abort(); // dependencies come first
        if (!before.insert(component.name).second) std::abort();
        // What was accepted interpolates with the values of its scope alone.
        const auto scope = model::template_scope(*config, component);
        const auto lookup = [&](std::string_view path) -> std::optional<std::string> {
            return std::ranges::contains(scope, path) ? std::optional<std::string>("x") : std::nullopt;
        };
        for (const auto& [path, value] : model::template_texts(component.run))
            if (!model::interpolate(value, lookup)) std::abort();
    }
    // It is stored and sent as JSON.
    const auto stored = json::to_text(*config);
    const auto back = json::decode_text<model::AppConfig>(stored, json::Unknown::refuse);
    if (!back || json::to_text(*back) != stored) std::abort();
    return 0;
}
