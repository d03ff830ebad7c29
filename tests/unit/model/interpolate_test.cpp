#include "consign/model/interpolate.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::model;

namespace {
std::optional<std::string> lookup(std::string_view path) {
    if (path == "inputs.port") return "8080";
    if (path == "inputs.tricky") return "{{ inputs.port }}";
    if (path == "components.web-1.artifact.digest") return "sha256:00";
    return std::nullopt;
}
} // namespace

TEST_CASE("interpolate replaces paths and nothing else") {
    struct Row {
        std::string text, want;
    };
    const auto row = GENERATE(values<Row>({
        {"", ""},
        {"plain } text }} { here", "plain } text }} { here"},
        {"{{ inputs.port }}", "8080"},
        {"{{inputs.port}}", "8080"},
        {"a{{\n\tinputs.port }}b{{ components.web-1.artifact.digest }}", "a8080bsha256:00"},
        {"{{{{ inputs.port }}", "{{ inputs.port }}"},
        {"{{{{{{ inputs.port }}", "{{8080"},
        {"{{{{{", "{{{"},
        {"{{ inputs.tricky }}", "{{ inputs.port }}"}, // values are not templates
    }));
    CAPTURE(row.text);
    const auto got = interpolate(row.text, lookup);
    REQUIRE(got);
    CHECK(*got == row.want);
}

TEST_CASE("broken templates name path and line") {
    struct Row {
        std::string text, want;
    };
    const auto row = GENERATE(values<Row>({
        {"a\nb {{ inputs.nope }}", "line 2: nothing is known by the path 'inputs.nope'"},
        {"{{ inputs.port\n}}\n{{ x }}", "line 3: nothing is known by the path 'x'"},
        {"\n\n{{ inputs.port", "line 3: '{{' is never closed with '}}'"},
        {"{{ }}", "line 1: '' is not a template path"},
        {"{{ a b }}", "line 1: 'a b' is not a template path"},
        {"{{ .a }}", "line 1: '.a' is not a template path"},
        {"{{ a..b }}", "line 1: 'a..b' is not a template path"},
        {"{{{ inputs.port }}}", "line 1: '{ inputs.port' is not a template path"},
    }));
    CAPTURE(row.text);
    const auto got = interpolate(row.text, lookup);
    REQUIRE_FALSE(got);
    CHECK(got.error().code == Code::invalid_argument);
    CHECK(got.error().message == row.want);
}

TEST_CASE("template_paths lists what a text refers to") {
    const auto paths = template_paths("{{ a.b }}\n{{{{ no }}\n{{ c }}{{ a.b }}");
    REQUIRE(paths);
    REQUIRE(paths->size() == 3);
    CHECK((*paths)[0].path == "a.b");
    CHECK((*paths)[0].line == 1);
    CHECK((*paths)[1].path == "c");
    CHECK((*paths)[2].line == 3);
    CHECK_FALSE(template_paths("{{ a"));
}
