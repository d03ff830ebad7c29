#include "consign/oci/registry.hpp"
#include "consign/store/sqlite.hpp"
#include "metadata_upkeep.hpp"
#include "registry_access.hpp"

namespace consign::oci {

namespace {

constexpr store::Migration kMigrations[] = {
    {
        1,
#include "embedded/oci/migrations/0001_registry.sql.inc"
    },
    {
        2,
#include "embedded/oci/migrations/0002_upkeep.sql.inc"
    },
    {
        3,
#include "embedded/oci/migrations/0003_small_blobs.sql.inc"
    },
};

constexpr std::size_t kSyncLaterUpTo =
    32 * 1024; // what a row holds well: configurations, signatures, small layers
constexpr std::size_t kAll = 1u << 30;

Result<void> check_name(std::string_view name) {
    if (is_repository_name(name)) return {};
    return fail(Code::invalid_argument, "'" + std::string(name.substr(0, 300)) + "' is not a repository name",
                "lower-case letters, digits and . _ - between them, components separated by '/'");
}

} // namespace

Registry::Registry() = default;
Registry::~Registry() = default;

Result<std::unique_ptr<Registry>> Registry::open(const std::filesystem::path& directory,
                                                 net::BlockingPool& pool, RegistryOptions options) {
    CONSIGN_CHECK(make_directories(directory));
    CONSIGN_TRY(blobs, open_file_blob_store(directory, pool,
                                            {.free_floor_bytes = options.free_floor_bytes,
                                             .sync_later_up_to = kSyncLaterUpTo,
                                             .uploads_expire = options.uploads_expire}));
    CONSIGN_TRY(database, store::open_sqlite(directory / "registry.db", kMigrations));
    std::unique_ptr<Registry> out(new Registry());
    out->impl_ = std::make_unique<Impl>(std::move(database), std::move(blobs), pool, options);
    CONSIGN_CHECK(out->impl_->small_blobs.recover());
    CONSIGN_TRY(limited, out->impl_->database->read_blocking(
                             [](store::Connection& c) { return metadata::has_quotas(c); }));
    out->impl_->has_repository_quotas = limited;
    return out;
}

Result<std::unique_ptr<Repository>> Registry::repository(std::string_view name) {
    CONSIGN_CHECK(check_name(name));
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

net::Async<Result<RegistryUsage>> Registry::usage() {
    CONSIGN_CO_TRY(out,
                   co_await impl_->database->read([](store::Connection& c) { return metadata::usage(c); }));
    CONSIGN_CO_TRY(free, co_await impl_->blobs->free_space());
    out.free_bytes = free;
    co_return std::move(out);
}

net::Async<Result<RepositoryUsage>> Registry::set(std::string repository, RepositorySettings settings) {
    CONSIGN_CO_CHECK(check_name(repository));
    impl_->has_repository_quotas = true; // before the first push that has to look
    co_return co_await impl_->database->write([=](store::Transaction& tx) -> Result<RepositoryUsage> {
        CONSIGN_CHECK(metadata::set(tx, repository, settings));
        CONSIGN_TRY(usage, metadata::repository_usage(tx, repository));
        return usage.value_or(RepositoryUsage{});
    });
}

net::Async<Result<std::size_t>> Registry::expire_uploads() {
    return impl_->blobs->expire_uploads(impl_->options.uploads_expire);
}

net::Async<Result<GcReport>> Registry::gc(GcOptions options) {
    return collect_garbage(*impl_, std::move(options));
}

net::Async<Result<ScrubReport>> Registry::scrub(ScrubOptions options) {
    return scrub_all(*impl_, std::move(options));
}

} // namespace consign::oci
