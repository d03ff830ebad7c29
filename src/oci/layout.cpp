#include "consign/oci/layout.hpp"
#include "file_blob_store.hpp"
#include "layout_index.hpp"
#include "resume_store.hpp"
#include "source.hpp"
#include "upload.hpp"
#include <mutex>

namespace consign::oci {

namespace {

namespace fs = std::filesystem;

constexpr const char* kUploads = ".uploads";

/// The directory's index.json: read and replaced as a whole, by one thread at a time. Blocks.
class IndexFile {
  public:
    explicit IndexFile(fs::path directory) : directory_(std::move(directory)) {}

    Result<void> open() const {
        const auto marker = directory_ / "oci-layout";
        if (fs::exists(marker)) {
            CONSIGN_TRY(text, read_file(marker, 64 * 1024));
            return LayoutIndex::check_marker(text, marker.string());
        }
        std::error_code ignored;
        if (fs::exists(directory_) && !fs::is_empty(directory_, ignored))
            return fail(Code::invalid_argument, directory_.string() + " is not an OCI layout and not empty",
                        "name a directory that is one, or a new one");
        CONSIGN_CHECK(make_directories(directory_ / "blobs" / "sha256"));
        CONSIGN_CHECK(write_file_atomic(path(), LayoutIndex().text()));
        return write_file_atomic(marker, kLayoutMarker);
    }

    Result<LayoutIndex> load() const {
        CONSIGN_TRY(text, read_file(path()));
        return LayoutIndex::parse(text, path().string());
    }

    Result<void> set(Descriptor descriptor, const std::string& tag) {
        const std::lock_guard lock(mutex_);
        CONSIGN_TRY(index, load());
        index.set(std::move(descriptor), tag);
        return write_file_atomic(path(), index.text());
    }

    Result<bool> remove(const TagOrDigest& which) {
        const std::lock_guard lock(mutex_);
        CONSIGN_TRY(index, load());
        if (!index.remove(which)) return false;
        CONSIGN_CHECK(write_file_atomic(path(), index.text()));
        return true;
    }

  private:
    fs::path path() const { return directory_ / "index.json"; }
    fs::path directory_;
    std::mutex mutex_;
};

class LayoutRepository final : public Repository {
  public:
    LayoutRepository(fs::path directory, std::shared_ptr<IndexFile> index, net::BlockingPool& pool)
        : directory_(std::move(directory)), index_(std::move(index)), pool_(pool),
          blobs_(make_file_blob_store(directory_, directory_ / kUploads, BlobPaths::flat, pool)) {}
    ~LayoutRepository() override {
        std::error_code ignored; // empty unless something was interrupted
        fs::remove(directory_ / kUploads, ignored);
    }

    net::Async<Result<ManifestBytes>> fetch_manifest(TagOrDigest which) override {
        CONSIGN_CO_TRY(index, co_await pool_.run([file = index_] { return file->load(); }));
        auto searched = index.find(which);
        if (!searched) co_return std::unexpected(with_context(std::move(searched).error(), describe()));
        Descriptor found;
        if (*searched)
            found = std::move(**searched);
        else if (which.digest)
            found.digest = *which.digest;
        else
            co_return fail(Code::not_found, directory_.string() + " has no manifest " + which.tag);
        CONSIGN_CO_TRY(body, co_await load_blob(*blobs_, found.digest, pool_, kManifestLimitBytes));
        co_return manifest_from(std::move(found), std::move(body));
    }

    net::Async<Result<void>> put_manifest(ManifestBytes manifest, std::string tag) override {
        CONSIGN_CO_TRY(parsed, Manifest::parse(manifest.body, manifest.descriptor.media_type));
        TextSource content(manifest.body);
        CONSIGN_CO_CHECK(co_await store_blob(*blobs_, manifest.descriptor, content));
        // What refers to another manifest is found by no index: it is listed, without a name.
        if (tag.empty() && !parsed.subject) co_return Result<void>{};
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
        CONSIGN_CO_CHECK(co_await store_blob(*blobs_, std::move(blob), content));
        co_return Result<void>{};
    }

    net::Async<Result<void>> push(Push push) override {
        CONSIGN_CO_CHECK(co_await resume_into(*blobs_, std::move(push)));
        co_return Result<void>{};
    }

    net::Async<Result<std::vector<Descriptor>>> referrers(Digest subject) override {
        CONSIGN_CO_TRY(index, co_await pool_.run([file = index_] { return file->load(); }));
        co_return co_await listed_referrers(std::move(index), std::move(subject), [this](Digest digest) {
            return load_blob(*blobs_, std::move(digest), pool_, kManifestLimitBytes);
        });
    }

    net::Async<Result<std::vector<std::string>>> tags() override {
        CONSIGN_CO_TRY(index, co_await pool_.run([file = index_] { return file->load(); }));
        co_return index.tags();
    }

    net::Async<Result<void>> remove(TagOrDigest which) override {
        CONSIGN_CO_TRY(removed, co_await pool_.run([file = index_, which] { return file->remove(which); }));
        if (!removed) co_return fail(Code::not_found, describe() + " does not list " + which.str());
        co_return Result<void>{};
    }

    std::string describe() const override { return "oci:" + directory_.string(); }

  private:
    fs::path directory_;
    std::shared_ptr<IndexFile> index_;
    net::BlockingPool& pool_;
    std::unique_ptr<BlobStore> blobs_;
};

// As long as a copy remembers what it had begun (transfer_journal.cpp).
constexpr auto kUploadsKeptFor = std::chrono::hours(7 * 24);

void drop_old_uploads(const fs::path& uploads) {
    std::error_code ignored;
    const auto oldest = fs::file_time_type::clock::now() - kUploadsKeptFor;
    for (const auto& entry : fs::directory_iterator(uploads, ignored))
        if (is_upload_id(entry.path().filename().string()) && entry.last_write_time(ignored) < oldest)
            fs::remove(entry.path(), ignored);
}

} // namespace

Result<std::unique_ptr<Repository>> open_layout(const fs::path& directory, net::BlockingPool& pool) {
    auto index = std::make_shared<IndexFile>(directory);
    CONSIGN_CHECK(index->open());
    drop_old_uploads(directory / kUploads);
    return std::make_unique<LayoutRepository>(directory, std::move(index), pool);
}

} // namespace consign::oci
