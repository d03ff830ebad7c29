// A repository of our own registry, in process: no HTTP, no credential.
#include "file_blob_store.hpp"
#include "registry_core.hpp"
#include "source.hpp"

namespace consign::oci {

namespace {

class LocalRepository final : public Repository {
  public:
    LocalRepository(RegistryCore& core, std::string name) : core_(core), name_(std::move(name)) {}

    net::Async<Result<ManifestBytes>> fetch_manifest(TagOrDigest which) override {
        CONSIGN_CO_TRY(manifest, co_await core_.fetch_manifest(name_, std::move(which)));
        Hasher hasher(manifest.descriptor.digest.algorithm());
        hasher.update(as_bytes(manifest.body));
        if (hasher.finish() != manifest.descriptor.digest)
            co_return fail(Code::corrupt,
                           "manifest " + manifest.descriptor.digest.str() + " of " + name_ + " is damaged",
                           "push it again");
        co_return std::move(manifest);
    }

    net::Async<Result<void>> put_manifest(ManifestBytes manifest, std::string tag) override {
        CONSIGN_CO_CHECK(co_await core_.put_manifest(name_, manifest.descriptor.media_type,
                                                     std::move(manifest.body), std::move(tag),
                                                     manifest.descriptor.digest));
        co_return Result<void>{};
    }

    net::Async<Result<bool>> has_blob(Descriptor blob) override {
        auto body = co_await core_.open_blob(name_, blob.digest);
        if (body) co_return true;
        if (body.error().code == Code::not_found) co_return false;
        co_return std::unexpected(std::move(body).error());
    }

    net::Async<Result<std::unique_ptr<net::Source>>> fetch_blob(Descriptor blob) override {
        CONSIGN_CO_TRY(body, co_await core_.open_blob(name_, blob.digest));
        co_return make_file_source(std::move(body), std::move(blob), core_.pool);
    }

    net::Async<Result<void>> push_blob(Descriptor blob, net::Source& content) override {
        CONSIGN_CO_CHECK(co_await store_blob(*core_.blobs, blob, content));
        co_return co_await core_.link_blob(name_, blob.digest, blob.size);
    }

    std::string describe() const override { return "local:" + name_; }

  private:
    RegistryCore& core_;
    std::string name_;
};

} // namespace

std::unique_ptr<Repository> make_local_repository(RegistryCore& core, std::string name) {
    return std::make_unique<LocalRepository>(core, std::move(name));
}

} // namespace consign::oci
