#include "consign/oci/layout.hpp"
#include "file_blob_store.hpp"
#include "source.hpp"
#include <mutex>

namespace consign::oci {

namespace {

namespace fs = std::filesystem;

constexpr const char* kRefName = "org.opencontainers.image.ref.name";

/// index.json: read and replaced as a whole, by one thread at a time. Blocks.
class LayoutIndex {
  public:
    explicit LayoutIndex(fs::path directory) : directory_(std::move(directory)) {}

    Result<void> open() const {
        const auto marker = directory_ / "oci-layout";
        if (!fs::exists(marker)) {
            std::error_code ignored;
            if (fs::exists(directory_) && !fs::is_empty(directory_, ignored))
                return fail(Code::invalid_argument,
                            directory_.string() + " is not an OCI layout and not empty",
                            "name a directory that is one, or a new one");
            CONSIGN_CHECK(make_directories(directory_ / "blobs" / "sha256"));
            CONSIGN_CHECK(write_file_atomic(path(), json::dump({{"schemaVersion", 2},
                                                                {"mediaType", media::kImageIndex},
                                                                {"manifests", json::Value::array()}})));
            return write_file_atomic(marker, std::string_view("{\"imageLayoutVersion\":\"1.0.0\"}"));
        }
        CONSIGN_TRY(text, read_file(marker, 64 * 1024));
        CONSIGN_TRY(parsed, json::parse(text));
        if (!parsed.is_object() || parsed.value("imageLayoutVersion", json::Value()) != "1.0.0")
            return fail(Code::unsupported,
                        marker.string() + " names an image layout version that is not 1.0.0");
        return {};
    }

    Result<std::optional<Descriptor>> find(const TagOrDigest& which) const {
        CONSIGN_TRY(index, load());
        for (const auto& entry : index.at("manifests")) {
            CONSIGN_TRY(descriptor, json::decode<Descriptor>(entry));
            const auto name = descriptor.annotations.find(kRefName);
            if (which.digest ? descriptor.digest == *which.digest
                             : name != descriptor.annotations.end() && name->second == which.tag)
                return descriptor;
        }
        return std::nullopt;
    }

    Result<void> set(Descriptor descriptor, const std::string& tag) {
        const std::lock_guard lock(mutex_);
        CONSIGN_TRY(index, load());
        auto kept = json::Value::array();
        for (const auto& entry : index.at("manifests")) {
            CONSIGN_TRY(old, json::decode<Descriptor>(entry));
            const auto name = old.annotations.find(kRefName);
            if (name == old.annotations.end() || name->second != tag) kept.push_back(entry);
        }
        descriptor.annotations[kRefName] = tag;
        kept.push_back(json::encode(descriptor));
        index["manifests"] = std::move(kept);
        return write_file_atomic(path(), json::dump(index));
    }

  private:
    fs::path path() const { return directory_ / "index.json"; }
    Result<json::Value> load() const {
        CONSIGN_TRY(text, read_file(path()));
        CONSIGN_TRY(index, json::parse(text));
        if (!index.is_object() || !index.contains("manifests") || !index.at("manifests").is_array())
            return fail(Code::corrupt, path().string() + " is not an image index");
        return std::move(index);
    }
    fs::path directory_;
    std::mutex mutex_;
};

class LayoutRepository final : public Repository {
  public:
    LayoutRepository(fs::path directory, std::shared_ptr<LayoutIndex> index, net::BlockingPool& pool)
        : directory_(std::move(directory)), index_(std::move(index)), pool_(pool),
          blobs_(make_file_blob_store(directory_, directory_ / ".uploads", BlobPaths::flat, pool)) {}
    ~LayoutRepository() override {
        std::error_code ignored; // empty unless something was interrupted
        fs::remove(directory_ / ".uploads", ignored);
    }

    net::Async<Result<ManifestBytes>> fetch_manifest(TagOrDigest which) override {
        CONSIGN_CO_TRY(found, co_await pool_.run([index = index_, which] { return index->find(which); }));
        if (!found && !which.digest)
            co_return fail(Code::not_found, directory_.string() + " has no manifest " + which.tag);
        ManifestBytes out;
        if (found)
            out.descriptor = std::move(*found);
        else
            out.descriptor.digest = *which.digest; // a child of an index is only a blob
        out.descriptor.annotations.erase(kRefName);
        CONSIGN_CO_TRY(body, co_await load_blob(*blobs_, out.descriptor.digest, pool_, kManifestLimitBytes));
        out.body = std::move(body);
        out.descriptor.size = out.body.size();
        if (out.descriptor.media_type.empty()) {
            CONSIGN_CO_TRY(parsed, Manifest::parse(out.body, ""));
            out.descriptor.media_type = parsed.media_type;
        }
        co_return out;
    }

    net::Async<Result<void>> put_manifest(ManifestBytes manifest, std::string tag) override {
        CONSIGN_CO_CHECK(Manifest::parse(manifest.body, manifest.descriptor.media_type));
        TextSource content(manifest.body);
        CONSIGN_CO_CHECK(co_await store_blob(*blobs_, manifest.descriptor, content));
        if (tag.empty()) co_return Result<void>{};
        co_return co_await pool_.run([index = index_, descriptor = std::move(manifest.descriptor),
                                      tag = std::move(tag)] { return index->set(descriptor, tag); });
    }

    net::Async<Result<bool>> has_blob(Descriptor blob) override {
        CONSIGN_CO_TRY(stat, co_await blobs_->stat(blob.digest));
        co_return stat && stat->size == blob.size;
    }

    net::Async<Result<std::unique_ptr<net::Source>>> fetch_blob(Descriptor blob) override {
        CONSIGN_CO_TRY(body, co_await blobs_->open(blob.digest));
        co_return make_file_source(std::move(body), std::move(blob), pool_);
    }

    net::Async<Result<void>> push_blob(Descriptor blob, net::Source& content) override {
        return store_blob(*blobs_, std::move(blob), content);
    }

    std::string describe() const override { return "layout:" + directory_.string(); }

  private:
    fs::path directory_;
    std::shared_ptr<LayoutIndex> index_;
    net::BlockingPool& pool_;
    std::unique_ptr<BlobStore> blobs_;
};

} // namespace

Result<std::unique_ptr<Repository>> open_layout(const fs::path& directory, net::BlockingPool& pool) {
    auto index = std::make_shared<LayoutIndex>(directory);
    CONSIGN_CHECK(index->open());
    return std::make_unique<LayoutRepository>(directory, std::move(index), pool);
}

} // namespace consign::oci
