// A repository of our own registry, in process: no HTTP, no credential.
#include "file_blob_store.hpp"
#include "registry_core.hpp"
#include "resume_store.hpp"
#include "source.hpp"
#include <format>

namespace consign::oci {

namespace {

constexpr std::size_t kAllTags = 1u << 30;

/// A blob of ours that is hashed as it is read: what turns out damaged is set aside, so that it is not there
/// any more for whoever asks next.
class StoredSource final : public net::Source {
  public:
    StoredSource(RegistryCore& core, RegistryCore::Opened opened, Descriptor blob)
        : core_(core), opened_(opened), digest_(blob.digest),
          inner_(make_file_source(opened.body, std::move(blob), core.pool)) {}

    net::Async<Result<std::size_t>> read(std::span<std::byte> into) override {
        auto count = co_await inner_->read(into);
        // The descriptor may lie about the size: then the file is not at fault.
        if (!count && count.error().code == Code::corrupt) {
            CONSIGN_CO_TRY(good, co_await holds(opened_.body, digest_, core_.pool));
            if (!good) co_await core_.blob_is_damaged(digest_, opened_);
        }
        co_return count;
    }

  private:
    RegistryCore& core_;
    RegistryCore::Opened opened_;
    Digest digest_;
    std::unique_ptr<net::Source> inner_;
};

class LocalRepository final : public Repository {
  public:
    LocalRepository(RegistryCore& core, std::string name) : core_(core), name_(std::move(name)) {}

    net::Async<Result<ManifestBytes>> fetch_manifest(TagOrDigest which) override {
        // Whoever is in this process and finds it relies on it next: a build that is recorded, a copy that
        // skips it.
        return core_.fetch_manifest(name_, std::move(which), true);
    }

    net::Async<Result<void>> put_manifest(ManifestBytes manifest, std::string tag) override {
        CONSIGN_CO_CHECK(co_await core_.put_manifest(name_, manifest.descriptor.media_type,
                                                     std::move(manifest.body), std::move(tag),
                                                     manifest.descriptor.digest));
        co_return Result<void>{};
    }

    net::Async<Result<void>> remove(TagOrDigest which) override {
        CONSIGN_CO_TRY(gone, co_await core_.remove_manifest(name_, which));
        if (!gone) co_return fail(Code::not_found, "there is no " + which.str() + " in " + describe());
        co_return Result<void>{};
    }

    net::Async<Result<bool>> has_blob(Descriptor blob) override {
        return core_.keep_blob(name_, std::move(blob.digest));
    }

    net::Async<Result<std::unique_ptr<net::Source>>> fetch_blob(Descriptor blob) override {
        CONSIGN_CO_TRY(opened, co_await core_.open_blob(name_, blob.digest));
        co_return std::make_unique<StoredSource>(core_, std::move(opened), std::move(blob));
    }

    net::Async<Result<void>> push_blob(Descriptor blob, net::Source& content) override {
        CONSIGN_CO_CHECK(co_await core_.room(name_, blob.digest, blob.size));
        CONSIGN_CO_TRY(finished, co_await store_blob(*core_.blobs, blob, content));
        co_return co_await core_.link_blob(name_, blob.digest, std::move(finished));
    }

    net::Async<Result<void>> push(Push push) override {
        const auto blob = push.blob;
        if (!push.mount_from.empty()) {
            CONSIGN_CO_TRY(mounted, co_await core_.mount_blob(push.mount_from, name_, blob.digest));
            if (mounted && push.on_spared) push.on_spared(blob.size);
            if (mounted) co_return Result<void>{};
        }
        CONSIGN_CO_CHECK(co_await core_.room(name_, blob.digest, blob.size));
        CONSIGN_CO_TRY(finished, co_await resume_into(*core_.blobs, std::move(push)));
        co_return co_await core_.link_blob(name_, blob.digest, std::move(finished));
    }

    net::Async<Result<std::vector<Descriptor>>> referrers(Digest subject) override {
        CONSIGN_CO_TRY(page, co_await core_.database->read([name = name_, subject](store::Connection& c) {
            return metadata::referrers(c, name, subject, std::nullopt, {});
        }));
        co_return std::move(page.items);
    }

    net::Async<Result<std::vector<std::string>>> tags() override {
        CONSIGN_CO_TRY(page, co_await core_.database->read([name = name_](store::Connection& c) {
            return metadata::tags(c, name, "", kAllTags);
        }));
        co_return std::move(page.items);
    }

    std::string describe() const override { return "local:" + name_; }
    std::string registry() const override {
        return std::format("local:{}", static_cast<const void*>(&core_));
    }
    std::string name() const override { return name_; }

  private:
    RegistryCore& core_;
    std::string name_;
};

} // namespace

std::unique_ptr<Repository> make_local_repository(RegistryCore& core, std::string name) {
    return std::make_unique<LocalRepository>(core, std::move(name));
}

} // namespace consign::oci
