#include "cli/source_upload.hpp"
#include "consign/artifact/component.hpp"
#include "consign/oci/remote.hpp"
#include "consign/protocol/naming.hpp"
#include "consign/protocol/vendor_registry.hpp"
#include <format>

namespace consign::cli {
namespace {

struct Upload {
    oci::RemoteOptions remote;
    std::string repository;
    artifact::PackedLayer layer;
};

net::Async<Result<oci::Descriptor>> push(Connection* connection, Upload upload) {
    const auto target = oci::open_remote(connection->api().http(), upload.remote, upload.repository);
    // The config is empty: the same tree is the same digest, whichever build asks for it.
    co_return co_await artifact::push_component(*target, connection->io().blocking(),
                                                std::string(artifact::kSourceType), json::Value::object(),
                                                std::move(upload.layer), "");
}

} // namespace

Result<protocol::ArtifactRef> upload_source(Context& context, const std::string& registry,
                                            const std::string& app, const model::Component& component,
                                            const std::filesystem::path& source_root) {
    const auto directory = (source_root / component.source.directory.value_or(".")).lexically_normal();
    const auto name = app + "/" + component.name;
    std::error_code ignored;
    if (!std::filesystem::is_directory(directory, ignored))
        return fail(Code::not_found,
                    std::format("the source of {}, {}, is not a directory", name, directory.string()),
                    "paths in consign.toml are relative to --source, by default the current directory");

    CONSIGN_TRY(connection, context.connect());
    CONSIGN_TRY(url, protocol::vendor_registry(registry, connection->api().base()));
    CONSIGN_TRY(scratch, TemporaryDirectory::make("consign-source-"));
    CONSIGN_TRY(layer, artifact::pack_directory(directory, scratch.path() / "source.tar.zst"));
    context.note(std::format("{}: packed {} ({} entries, {})", name, directory.string(), layer.entries,
                             human_size(layer.size)));

    Upload upload{.remote = {.registry = url, .username = "token", .password = connection->token()},
                  .repository = protocol::source_repository(app, component.name),
                  .layer = layer};
    auto pushed = connection->io().run(push(connection, upload));
    if (!pushed) return std::unexpected(with_context(pushed.error(), "uploading the source of " + name));
    return protocol::ArtifactRef{upload.repository, pushed->digest};
}

} // namespace consign::cli
