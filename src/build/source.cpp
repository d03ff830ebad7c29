#include "build/source.hpp"
#include "consign/artifact/component.hpp"

namespace consign::build {
namespace {

Result<void> unpack(const std::filesystem::path& archive, const std::filesystem::path& tree,
                    const std::stop_token& stop) {
    CONSIGN_CHECK(remove_tree(tree)); // of a try before this one
    CONSIGN_CHECK(make_directories(tree, 0700));
    CONSIGN_CHECK(artifact::unpack_layer(archive, tree, {}, stop));
    return remove_tree(archive); // its space is better used for the artifact
}

} // namespace

Result<SourceTree> local_source(const std::filesystem::path& root, const std::string& directory) {
    auto path = (root / directory).lexically_normal();
    std::error_code ignored;
    if (!std::filesystem::is_directory(path, ignored))
        return fail(Code::not_found, "the source " + path.string() + " is not a directory",
                    "paths in consign.toml are relative to --source, by default the current directory");
    return SourceTree{.directory = std::move(path)};
}

net::Async<Result<SourceTree>> uploaded_source(oci::Repository& repository, Digest digest,
                                               std::filesystem::path scratch, net::BlockingPool& pool,
                                               std::stop_token stop) {
    CONSIGN_CO_TRY(found, co_await artifact::read_component(repository, digest));
    if (found.component_type != artifact::kSourceType)
        co_return fail(Code::corrupt, digest.str() + " in " + repository.describe() + " is a " +
                                          found.component_type + ", not an uploaded source tree");
    const auto archive = scratch / "source.tar.zst", tree = scratch / "source";
    CONSIGN_CO_CHECK(co_await artifact::download_blob(repository, found.layer, archive, pool));
    CONSIGN_CO_CHECK(co_await pool.run([archive, tree, stop] { return unpack(archive, tree, stop); }));
    co_return SourceTree{.directory = tree, .version = digest.str()};
}

} // namespace consign::build
