#include "install/render.hpp"
#include "consign/base/file.hpp"
#include "consign/model/inputs.hpp"
#include "consign/model/template_scope.hpp"
#include <sys/stat.h>

namespace consign::install {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kTemplateLimitBytes = 16u << 20;

void collect_secrets(const json::Value& value, std::vector<std::string>& out) {
    if (value.is_structured())
        for (const auto& item : value) collect_secrets(item, out);
    if (value.is_boolean() || value.is_null()) return; // hiding every "true" would hide the log
    const auto text = model::to_template_text(value);
    out.push_back(text);
    // A log is read line by line: a certificate's key must not show because its lines came apart.
    for (std::size_t at = 0; text.contains('\n') && at < text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        if (end > at) out.push_back(text.substr(at, end - at));
        at = end + 1;
    }
}

/// Where a declared template is, once it is sure that it lies below `directory`.
Result<fs::path> template_file(const fs::path& directory, const std::string& name,
                               const std::string& component) {
    const auto relative = fs::path(name).lexically_normal();
    if (name.empty() || relative.is_absolute() || *relative.begin() == "..")
        return fail(Code::invalid_argument,
                    component + ": the template '" + name + "' is not inside the bundle",
                    "name a file of the bundle, relative to its root");
    const auto file = directory / relative;
    std::error_code error;
    if (!fs::is_regular_file(file, error))
        return fail(Code::invalid_argument, component + ": the bundle has no file '" + name + "' to render",
                    "correct run.templates, or add the file to the component's source");
    return file;
}

} // namespace

model::Lookup Scope::lookup() const {
    return [this](std::string_view path) -> std::optional<std::string> {
        const auto found = values.find(path);
        if (found == values.end()) return std::nullopt;
        return found->second;
    };
}

Scope make_scope(const protocol::ApplySpec& spec, const fs::path& data, std::string_view registry) {
    Scope scope;
    scope.component = spec.component.name;
    auto& values = scope.values;
    for (const auto& [name, value] : spec.inputs) values["inputs." + name] = model::to_template_text(value);
    for (const auto& name : spec.sensitive) scope.sensitive.insert("inputs." + name);
    values["install.name"] = spec.install_name;
    values["install.id"] = spec.install.str();
    values["install.data"] = paths_of(data, spec.component.name).data().string();
    values["release.version"] = spec.release;

    const auto add_artifact = [&](const std::string& name, const protocol::ArtifactRef& artifact) {
        const auto base = "components." + name + ".";
        values[base + "artifact.digest"] = artifact.digest.str();
        values[base + "artifact.reference"] =
            std::string(registry) + "/" + artifact.repository + "@" + artifact.digest.str();
    };
    add_artifact(spec.component.name, spec.artifact);
    for (const auto& [name, artifact] : spec.dependencies) {
        add_artifact(name, artifact);
        const auto current = paths_of(data, name).current();
        if (std::error_code error; fs::exists(current, error))
            values["components." + name + ".directory"] = current.string();
    }
    return scope;
}

std::vector<std::string> secrets_of(const protocol::ApplySpec& spec) {
    std::vector<std::string> out;
    for (const auto& name : spec.sensitive)
        if (const auto found = spec.inputs.find(name); found != spec.inputs.end())
            collect_secrets(found->second, out);
    return out;
}

Result<model::BundleRun> render_run(const model::BundleRun& run, const Scope& scope) {
    const auto lookup = scope.lookup();
    auto out = run;
    const auto render = [&](std::string& text, const std::string& where) -> Result<void> {
        auto rendered = model::interpolate(text, lookup);
        if (!rendered)
            return std::unexpected(with_context(rendered.error(), scope.component + ": run." + where));
        text = std::move(*rendered);
        return {};
    };
    const auto render_argv = [&](model::Argv& argv, const std::string& where) -> Result<void> {
        for (std::size_t i = 0; i < argv.size(); ++i)
            CONSIGN_CHECK(render(argv[i], where + "[" + std::to_string(i) + "]"));
        return {};
    };
    const auto render_commands = [&](std::vector<model::Argv>& commands,
                                     const std::string& where) -> Result<void> {
        for (std::size_t i = 0; i < commands.size(); ++i)
            CONSIGN_CHECK(render_argv(commands[i], where + "[" + std::to_string(i) + "]"));
        return {};
    };
    CONSIGN_CHECK(render_commands(out.provision, "provision"));
    CONSIGN_CHECK(render_commands(out.update, "update"));
    CONSIGN_CHECK(render_commands(out.teardown, "teardown"));
    CONSIGN_CHECK(render_argv(out.service, "service"));
    for (auto& [name, value] : out.environment) CONSIGN_CHECK(render(value, "environment." + name));
    if (out.health) {
        if (out.health->http) CONSIGN_CHECK(render(*out.health->http, "health.http"));
        if (out.health->tcp) CONSIGN_CHECK(render(*out.health->tcp, "health.tcp"));
        CONSIGN_CHECK(render_argv(out.health->command, "health.command"));
    }
    return out;
}

Result<void> render_file(const fs::path& directory, const std::string& name, const Scope& scope) {
    CONSIGN_TRY(file, template_file(directory, name, scope.component));
    CONSIGN_TRY(text, read_file(file, kTemplateLimitBytes));
    struct stat status{};
    if (::stat(file.c_str(), &status) != 0) return fail_errno("cannot read '" + file.string() + "'", errno);
    mode_t mode = status.st_mode & 0777;

    const auto rendered = model::interpolate(text, [&](std::string_view path) {
        if (scope.sensitive.contains(path)) mode &= 0700;
        return scope.lookup()(path);
    });
    if (!rendered) return std::unexpected(with_context(rendered.error(), scope.component + ": " + name));
    return write_file_atomic(file, *rendered, mode);
}

Result<std::set<std::string>> paths_used(const model::BundleRun& run, const fs::path& directory,
                                         const std::string& component) {
    std::set<std::string> out;
    const auto add = [&](std::string_view text, const std::string& where) -> Result<void> {
        const auto paths = model::template_paths(text);
        if (!paths) return std::unexpected(with_context(paths.error(), component + ": " + where));
        for (const auto& used : *paths) out.insert(used.path);
        return {};
    };
    for (const auto& [where, text] : model::template_texts(run)) CONSIGN_CHECK(add(text, where));
    for (const auto& name : run.templates) {
        CONSIGN_TRY(file, template_file(directory, name, component));
        CONSIGN_TRY(text, read_file(file, kTemplateLimitBytes));
        CONSIGN_CHECK(add(text, name));
    }
    return out;
}

std::string fingerprint(const model::BundleRun& run, const std::set<std::string>& paths, const Scope& scope) {
    auto values = json::Value::object();
    for (const auto& path : paths)
        if (const auto found = scope.values.find(path);
            found != scope.values.end() && path != scope.own_directory())
            values[path] = found->second;
    const json::Value all = {{"run", json::encode(run)}, {"values", std::move(values)}};
    return sha256_hex(json::dump(all));
}

} // namespace consign::install
