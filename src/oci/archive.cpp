#include "consign/oci/archive.hpp"
#include "archive_tar.hpp"
#include "consign/base/random.hpp"
#include "layout_index.hpp"
#include "source.hpp"
#include <algorithm>
#include <fcntl.h>
#include <format>
#include <set>
#include <unistd.h>

namespace consign::oci {

namespace {

namespace fs = std::filesystem;
using net::Async;

constexpr std::size_t kIndexLimit = 16u << 20;
constexpr std::size_t kPieceBytes = 256 * 1024;

std::string blob_name(const Digest& digest) {
    return "blobs/" + std::string(digest.algorithm()) + "/" + std::string(digest.hex());
}

class ArchiveReader final : public Repository {
  public:
    ArchiveReader(fs::path file, std::shared_ptr<const Fd> fd, std::map<std::string, TarSpan> spans,
                  LayoutIndex index, net::BlockingPool& pool)
        : path_(std::move(file)), fd_(std::move(fd)), spans_(std::move(spans)), index_(std::move(index)),
          pool_(pool) {}

    Async<Result<ManifestBytes>> fetch_manifest(TagOrDigest which) override {
        auto searched = index_.find(which);
        if (!searched) co_return std::unexpected(with_context(std::move(searched).error(), describe()));
        Descriptor found;
        if (*searched)
            found = std::move(**searched);
        else if (which.digest)
            found.digest = *which.digest;
        else
            co_return fail(Code::not_found, describe() + " has no image " + which.tag);
        CONSIGN_CO_TRY(body, co_await load(found.digest));
        co_return manifest_from(std::move(found), std::move(body));
    }

    Async<Result<bool>> has_blob(Descriptor blob) override {
        const auto found = spans_.find(blob_name(blob.digest));
        co_return found != spans_.end() && found->second.size == blob.size;
    }

    Async<Result<std::unique_ptr<net::Source>>> fetch_blob(Descriptor blob) override {
        CONSIGN_CO_TRY(body, body_of(blob.digest));
        co_return make_file_source(std::move(body), std::move(blob), pool_);
    }

    Async<Result<std::vector<Descriptor>>> referrers(Digest subject) override {
        return listed_referrers(index_, std::move(subject),
                                [this](Digest digest) { return load(std::move(digest)); });
    }

    Async<Result<std::vector<std::string>>> tags() override { co_return index_.tags(); }

    Async<Result<void>> put_manifest(ManifestBytes, std::string) override { co_return read_only(); }
    Async<Result<void>> push_blob(Descriptor, net::Source&) override { co_return read_only(); }
    std::string describe() const override { return "oci-archive:" + path_.string(); }

  private:
    std::unexpected<Error> read_only() const {
        return fail(Code::unsupported, describe() + " is open for reading");
    }
    Result<net::FileBody> body_of(const Digest& digest) const {
        const auto found = spans_.find(blob_name(digest));
        if (found == spans_.end()) return fail(Code::not_found, describe() + " has no blob " + digest.str());
        return net::FileBody{.file = fd_, .offset = found->second.offset, .size = found->second.size};
    }
    Async<Result<std::string>> load(Digest digest) {
        CONSIGN_CO_TRY(body, body_of(digest));
        Descriptor expected;
        expected.digest = std::move(digest);
        expected.size = body.size;
        const auto source = make_file_source(std::move(body), std::move(expected), pool_);
        co_return co_await net::read_all(*source, kManifestLimitBytes);
    }

    fs::path path_;
    std::shared_ptr<const Fd> fd_;
    std::map<std::string, TarSpan> spans_;
    LayoutIndex index_;
    net::BlockingPool& pool_;
};

/// The file, as far as it is good. Blocks; used by one piece of work at a time.
struct Output {
    fs::path path, temporary;
    Fd file;
    std::uint64_t size = 0; ///< of the entries that are whole
    bool finished = false;

    ~Output() {
        if (!finished && file) ::unlink(temporary.c_str());
    }

    /// Writes at `offset`, which may be behind `size` while an entry is not whole.
    Result<void> write_at(std::uint64_t offset, ByteView bytes) const {
        if (::lseek(file.get(), static_cast<off_t>(offset), SEEK_SET) < 0)
            return fail_errno("seek " + temporary.string(), errno);
        return write_all(file.get(), bytes, temporary);
    }

    /// A whole entry.
    Result<void> add(std::string_view name, std::string_view content) {
        auto text = tar_header(name, content.size());
        text += content;
        text.append(tar_padding(content.size()), '\0');
        CONSIGN_CHECK(write_at(size, as_bytes(text)));
        size += text.size();
        return {};
    }

    Result<void> finish() {
        CONSIGN_CHECK(write_at(size, as_bytes(std::string(2 * kTarBlock, '\0'))));
        // A blob that failed may have left more behind the end.
        if (::ftruncate(file.get(), static_cast<off_t>(size + 2 * kTarBlock)) != 0)
            return fail_errno("truncate " + temporary.string(), errno);
        if (::fsync(file.get()) != 0) return fail_errno("fsync " + temporary.string(), errno);
        if (::rename(temporary.c_str(), path.c_str()) != 0)
            return fail_errno("rename " + temporary.string() + " to " + path.string(), errno);
        finished = true;
        return fsync_directory(path.parent_path().empty() ? "." : path.parent_path());
    }
};

class FileArchiveWriter final : public ArchiveWriter {
  public:
    FileArchiveWriter(std::shared_ptr<Output> output, net::BlockingPool& pool)
        : output_(std::move(output)), pool_(pool) {}

    Async<Result<ManifestBytes>> fetch_manifest(TagOrDigest which) override {
        co_return fail(Code::not_found, describe() + " is being written; it has no " + which.str());
    }

    Async<Result<void>> put_manifest(ManifestBytes manifest, std::string tag) override {
        CONSIGN_CO_TRY(parsed, Manifest::parse(manifest.body, manifest.descriptor.media_type));
        TextSource content(manifest.body);
        CONSIGN_CO_CHECK(co_await push_blob(manifest.descriptor, content));
        if (!tag.empty() || parsed.subject) index_.set(manifest.descriptor, tag);
        co_return Result<void>{};
    }

    Async<Result<bool>> has_blob(Descriptor blob) override { co_return written_.contains(blob.digest); }

    Async<Result<std::unique_ptr<net::Source>>> fetch_blob(Descriptor blob) override {
        co_return fail(Code::not_found,
                       describe() + " is being written; " + blob.digest.str() + " cannot be read from it");
    }

    Async<Result<void>> push_blob(Descriptor blob, net::Source& content) override {
        if (written_.contains(blob.digest)) co_return Result<void>{};
        CONSIGN_CO_CHECK(co_await directory_for(blob.digest));
        VerifyingSource verified(std::make_unique<BorrowedSource>(content), blob, "the source");
        const auto header = tar_header(blob_name(blob.digest), blob.size);
        auto end = output_->size + header.size();
        auto buffer = std::make_shared<std::string>(header);
        bool ended = false;
        while (!ended) {
            const auto begin = buffer->size();
            buffer->resize(begin + kPieceBytes);
            const auto filled =
                co_await read_full(verified, std::as_writable_bytes(std::span(*buffer).subspan(begin)));
            if (filled.error) co_return std::unexpected(*filled.error);
            ended = filled.ended;
            buffer->resize(begin + filled.size);
            if (ended) buffer->append(tar_padding(blob.size), '\0');
            const auto at = end - begin; // the header goes with the first piece
            end += buffer->size() - begin;
            CONSIGN_CO_CHECK(co_await pool_.run(
                [output = output_, buffer, at] { return output->write_at(at, as_bytes(*buffer)); }));
            buffer->clear();
        }
        output_->size = end;
        written_.insert(blob.digest);
        co_return Result<void>{};
    }

    Async<Result<void>> finish() override {
        co_return co_await pool_.run([output = output_, text = index_.text()]() -> Result<void> {
            CONSIGN_CHECK(output->add("index.json", text));
            return output->finish();
        });
    }

    std::string describe() const override { return "oci-archive:" + output_->path.string(); }
    bool sequential() const override { return true; }

  private:
    Async<Result<void>> directory_for(const Digest& digest) {
        auto name = "blobs/" + std::string(digest.algorithm()) + "/";
        if (!directories_.insert(name).second) co_return Result<void>{};
        co_return co_await pool_.run([output = output_, name] { return output->add(name, ""); });
    }

    std::shared_ptr<Output> output_;
    net::BlockingPool& pool_;
    LayoutIndex index_;
    std::set<Digest> written_;
    std::set<std::string> directories_;
};

Result<std::string> small_entry(int fd, const std::map<std::string, TarSpan>& spans, const char* name,
                                const fs::path& file) {
    const auto found = spans.find(name);
    if (found == spans.end())
        return fail(Code::invalid_argument, file.string() + " is no OCI archive: it has no " + name,
                    spans.contains("manifest.json") ? "it is a docker archive; skopeo can convert it" : "");
    if (found->second.size > kIndexLimit)
        return fail(Code::too_large, file.string() + ": " + name + " is too large");
    std::string text(static_cast<std::size_t>(found->second.size), '\0');
    const auto got = ::pread(fd, text.data(), text.size(), static_cast<off_t>(found->second.offset));
    if (got < 0) return fail_errno("read " + file.string(), errno);
    if (static_cast<std::size_t>(got) != text.size())
        return fail(Code::corrupt, file.string() + " is cut off");
    return text;
}

} // namespace

Result<std::unique_ptr<Repository>> open_archive(const fs::path& file, net::BlockingPool& pool) {
    CONSIGN_TRY(opened, open_file(file, O_RDONLY));
    auto fd = std::make_shared<const Fd>(std::move(opened));
    CONSIGN_TRY(spans, index_tar(fd->get(), file));
    CONSIGN_TRY(marker, small_entry(fd->get(), spans, "oci-layout", file));
    CONSIGN_CHECK(LayoutIndex::check_marker(marker, file.string() + ": oci-layout"));
    CONSIGN_TRY(text, small_entry(fd->get(), spans, "index.json", file));
    CONSIGN_TRY(index, LayoutIndex::parse(text, file.string() + ": index.json"));
    return std::make_unique<ArchiveReader>(file, std::move(fd), std::move(spans), std::move(index), pool);
}

Result<std::unique_ptr<ArchiveWriter>> ArchiveWriter::create(const fs::path& file, net::BlockingPool& pool) {
    auto output = std::make_shared<Output>();
    output->path = file;
    output->temporary = file.string() + ".part-" + to_hex(random_bytes(4));
    CONSIGN_TRY(opened, open_file(output->temporary, O_RDWR | O_CREAT | O_EXCL));
    output->file = std::move(opened);
    CONSIGN_CHECK(output->add("oci-layout", kLayoutMarker));
    CONSIGN_CHECK(output->add("blobs/", ""));
    return std::make_unique<FileArchiveWriter>(std::move(output), pool);
}

} // namespace consign::oci
