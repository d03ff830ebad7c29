#include "consign/oci/registry.hpp"
#include "consign/base/log.hpp"
#include "consign/store/sqlite.hpp"
#include "registry_access.hpp"
#include "registry_core.hpp"

namespace consign::oci {

namespace {

constexpr store::Migration kMigrations[] = {
    {
        1,
#include "embedded/oci/migrations/0001_registry.sql.inc"
    },
};

constexpr std::size_t kAll = 1u << 30;
// Below this hashing and parsing take less time than the way to the pool and back.
constexpr std::size_t kInlineManifestBytes = 16 * 1024;

Result<metadata::NewManifest> prepare(std::string media_type, std::string body,
                                      const std::optional<Digest>& expected) {
    metadata::NewManifest out;
    Hasher hasher(expected ? expected->algorithm() : "sha256");
    hasher.update(as_bytes(body));
    out.bytes.descriptor.digest = hasher.finish();
    if (expected && out.bytes.descriptor.digest != *expected)
        return fail(Code::corrupt,
                    "the manifest is " + out.bytes.descriptor.digest.str() + ", not " + expected->str());
    CONSIGN_TRY(parsed, Manifest::parse(body, media_type));
    out.parsed = std::move(parsed);
    out.bytes.descriptor.media_type = out.parsed.media_type;
    out.bytes.descriptor.size = body.size();
    out.bytes.body = std::move(body);
    return out;
}

} // namespace

net::Async<Result<net::FileBody>> RegistryCore::open_blob(std::string repository, Digest digest) {
    CONSIGN_CO_TRY(size, co_await database->read([=](store::Connection& c) {
        return metadata::blob_size(c, repository, digest);
    }));
    const auto unknown = [&] {
        return fail(Code::not_found, "repository " + repository + " has no blob " + digest.str());
    };
    if (!size) co_return unknown();
    auto body = co_await blobs->open(digest);
    if (body && body->size == *size) co_return std::move(*body);
    if (!body && body.error().code != Code::not_found) co_return std::move(body);
    // Never served; answered as unknown, so that the next push puts it right.
    log::error("a stored blob is damaged", {{"repository", repository},
                                            {"digest", digest.str()},
                                            {"found_bytes", body ? body->size : 0},
                                            {"expected_bytes", *size}});
    co_return unknown();
}

net::Async<Result<void>> RegistryCore::link_blob(std::string repository, Digest digest, std::uint64_t size) {
    return database->write(
        [=](store::Transaction& tx) { return metadata::link_blob(tx, repository, digest, size); });
}

net::Async<Result<bool>> RegistryCore::mount_blob(std::string from, std::string to, Digest digest) {
    auto body = co_await open_blob(from, digest);
    if (!body && body.error().code == Code::not_found) co_return false;
    if (!body) co_return std::unexpected(std::move(body).error());
    CONSIGN_CO_CHECK(co_await link_blob(to, digest, body->size));
    co_return true;
}

net::Async<Result<ManifestBytes>> RegistryCore::fetch_manifest(std::string repository, TagOrDigest which) {
    CONSIGN_CO_TRY(found,
                   co_await database->read([=](store::Connection& c) -> Result<std::optional<ManifestBytes>> {
                       auto digest = which.str();
                       if (!which.digest) {
                           CONSIGN_TRY(resolved, metadata::resolve_tag(c, repository, which.tag));
                           if (!resolved) return std::nullopt;
                           digest = *resolved;
                       }
                       return metadata::manifest(c, repository, digest);
                   }));
    if (!found)
        co_return fail(Code::not_found, "repository " + repository + " has no manifest " + which.str());
    co_return std::move(*found);
}

net::Async<Result<RegistryCore::Put>> RegistryCore::put_manifest(std::string repository,
                                                                 std::string media_type, std::string body,
                                                                 std::string tag,
                                                                 std::optional<Digest> expected) {
    Result<metadata::NewManifest> made;
    if (body.size() <= kInlineManifestBytes)
        made = prepare(std::move(media_type), std::move(body), expected);
    else
        made = co_await pool.run(
            [=, body = std::move(body)]() mutable { return prepare(media_type, std::move(body), expected); });
    CONSIGN_CO_TRY(manifest, std::move(made));
    Put out{.digest = manifest.bytes.descriptor.digest, .subject = std::nullopt};
    if (manifest.parsed.subject) out.subject = manifest.parsed.subject->digest;
    auto shared = std::make_shared<const metadata::NewManifest>(std::move(manifest));
    CONSIGN_CO_CHECK(co_await database->write(
        [=](store::Transaction& tx) { return metadata::put_manifest(tx, repository, *shared, tag); }));
    co_return out;
}

Registry::Registry() = default;
Registry::~Registry() = default;

Result<std::unique_ptr<Registry>> Registry::open(const std::filesystem::path& directory,
                                                 net::BlockingPool& pool) {
    CONSIGN_CHECK(make_directories(directory));
    CONSIGN_TRY(blobs, open_file_blob_store(directory, pool));
    CONSIGN_TRY(database, store::open_sqlite(directory / "registry.db", kMigrations));
    std::unique_ptr<Registry> out(new Registry());
    out->impl_ = std::make_unique<Impl>(std::move(database), std::move(blobs), pool);
    return out;
}

Result<std::unique_ptr<Repository>> Registry::repository(std::string_view name) {
    if (!is_repository_name(name))
        return fail(Code::invalid_argument,
                    "'" + std::string(name.substr(0, 300)) + "' is not a repository name",
                    "lower-case letters, digits and . _ - between them, components separated by '/'");
    return make_local_repository(*impl_, std::string(name));
}

net::Async<Result<std::vector<std::string>>> Registry::repositories() {
    CONSIGN_CO_TRY(page, co_await impl_->database->read(
                             [](store::Connection& c) { return metadata::repositories(c, "", kAll); }));
    co_return std::move(page.items);
}

net::Async<Result<std::vector<std::string>>> Registry::tags(std::string repository) {
    CONSIGN_CO_TRY(page, co_await impl_->database->read(
                             [=](store::Connection& c) { return metadata::tags(c, repository, "", kAll); }));
    co_return std::move(page.items);
}

net::Async<Result<bool>> Registry::in_closure(std::string repository, Digest root, Digest digest) {
    return impl_->database->read(
        [=](store::Connection& c) { return metadata::in_closure(c, repository, root, digest); });
}

} // namespace consign::oci
