// Escaped text comes out as it went in; what interpolates has exactly the paths that template_paths() lists.
#include "consign/model/interpolate.hpp"
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace consign;
    const std::string_view text(reinterpret_cast<const char*>(data), size);

    std::string escaped;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text.substr(i).starts_with("{{")) {
            escaped += "{{{{";
            ++i;
        } else {
            escaped += text[i];
        }
    }
    const auto same =
        model::interpolate(escaped, [](std::string_view) -> std::optional<std::string> { std::abort(); });
    if (!same || *same != text) std::abort();

    std::vector<std::string> asked;
    const auto result = model::interpolate(text, [&](std::string_view path) -> std::optional<std::string> {
        asked.emplace_back(path);
        return "{{ value }}"; // a value is never read as a template
    });
    const auto paths = model::template_paths(text);
    if (result.has_value() != paths.has_value()) std::abort();
    if (!paths) return 0;
    if (paths->size() != asked.size()) std::abort();
    for (std::size_t i = 0; i < asked.size(); ++i)
        if ((*paths)[i].path != asked[i] || (*paths)[i].line < 1) std::abort();
    return 0;
}
