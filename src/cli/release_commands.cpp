#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "consign/protocol/user_api.hpp"
#include <format>

namespace consign::cli {
namespace {

using namespace protocol;

Table components_of(const ReleaseView& release) {
    Table table({"COMPONENT", "BUILD", "ARTIFACT"});
    for (const auto& component : release.components)
        table.add({component.component, component.build.str(), short_digest(component.artifact.digest)});
    return table;
}

Result<int> create(Context& context, const std::string& app, const std::string& version) {
    CONSIGN_TRY(release, context.call<ReleaseView>(net::Verb::post, path_of("/v1/apps/", app, "/releases"),
                                                   CreateReleaseRequest{version}));
    if (context.json())
        context.print_json(release);
    else {
        context.print_foreign(
            std::format("{} {} of config version {}", release.app, release.version, release.config_version));
        context.print(components_of(release));
    }
    return kDone;
}

Result<int> list(Context& context, const std::string& app) {
    CONSIGN_TRY(releases, context.get<List<ReleaseView>>(path_of("/v1/apps/", app, "/releases")));
    Table table({"VERSION", "CONFIG", "COMPONENTS", "CREATED", "ID"});
    for (const auto& release : releases.items)
        table.add({release.version, release.config_version, release.components.size(),
                   ago(release.created_at, context.now()), release.id.str()});
    context.print_list(releases, table, "no releases yet: consign release create " + app);
    return kDone;
}

} // namespace

CommandSpec release_command() {
    const auto app = std::make_shared<std::string>();
    const auto version = std::make_shared<std::string>();
    return {.name = "release",
            .summary = "Name a set of builds, to be deployed together",
            .commands = {
                {.name = "create",
                 .summary = "Release the newest successful build of each component",
                 .examples = {"consign release create shop --version 1.0"},
                 .options = {positional("APP", "the app's name", *app),
                             option("--version", "V",
                                    "the name of the release; default the next whole number", *version)},
                 .run = [app, version](Context& context) { return create(context, *app, *version); }},
                {.name = "list",
                 .summary = "An app's releases",
                 .examples = {"consign release list shop"},
                 .options = {positional("APP", "the app's name", *app)},
                 .run = [app](Context& context) { return list(context, *app); }},
            }};
}

} // namespace consign::cli
