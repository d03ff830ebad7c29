#include "consign/oci/remote.hpp"
#include "remote_repository.hpp"
#include "source.hpp"
#include <format>

namespace consign::oci {

namespace {

using net::Async;
using net::Verb;

// So much new content makes a connection that broke one that worked.
constexpr std::uint64_t kProgressBytes = 64 * 1024;

/// Goes on where a broken connection stopped; the digest check around it covers all pieces together.
class ResumingSource final : public net::Source {
  public:
    ResumingSource(RemoteRepository& repository, Descriptor blob, std::uint64_t offset,
                   std::unique_ptr<net::Source> body)
        : repository_(repository), blob_(std::move(blob)), body_(std::move(body)), done_(offset),
          broke_at_(offset), attempts_(repository.client().retry()) {}

    Async<Result<std::size_t>> read(std::span<std::byte> into) override {
        for (;;) {
            auto count = co_await body_->read(into);
            if (count && (*count > 0 || done_ >= blob_.size)) {
                done_ += *count;
                co_return count;
            }
            const bool broken = !count && count.error().code != Code::cancelled;
            if (!count && !broken) co_return count;
            if (done_ >= broke_at_ + kProgressBytes) attempts_ = Attempts(repository_.client().retry());
            broke_at_ = done_;
            if (!co_await attempts_.another()) co_return count;
            auto again = co_await repository_.open_blob(blob_, done_);
            if (!again) {
                if (count) co_return std::unexpected(std::move(again).error());
                co_return count; // the first cause says more
            }
            body_ = std::move(*again);
        }
    }

  private:
    RemoteRepository& repository_;
    Descriptor blob_;
    std::unique_ptr<net::Source> body_;
    std::uint64_t done_, broke_at_;
    Attempts attempts_;
};

/// The first byte that a 206 brings; nullopt: it does not say.
std::optional<std::uint64_t> first_byte(std::string_view content_range) {
    if (!content_range.starts_with("bytes ")) return std::nullopt;
    content_range.remove_prefix(6);
    std::uint64_t first = 0;
    std::size_t digits = 0;
    for (; digits < content_range.size() && digits < 19; ++digits) {
        const char c = content_range[digits];
        if (c < '0' || c > '9') break;
        first = first * 10 + static_cast<std::uint64_t>(c - '0');
    }
    if (digits == 0 || digits >= content_range.size() || content_range[digits] != '-') return std::nullopt;
    return first;
}

} // namespace

std::string RemoteRepository::scope(Access access) const {
    const char* actions[] = {"pull", "pull,push", "delete"};
    return "repository:" + repository_ + ":" + actions[static_cast<int>(access)];
}

Async<Error> RemoteRepository::error_of(net::ClientResponse& response) {
    auto error = co_await client_.error_of(response);
    co_return with_context(std::move(error), repository_);
}

Async<Result<ManifestBytes>> RemoteRepository::fetch_manifest(TagOrDigest which) {
    auto get = request(Verb::get, "/manifests/" + which.str());
    get.headers.set("Accept", std::format("{}, {}, {}, {}", media::kImageIndex, media::kImageManifest,
                                          media::kDockerManifestList, media::kDockerManifest));
    CONSIGN_CO_TRY(response, co_await client_.send(std::move(get), scope(Access::pull)));
    if (!response.ok()) co_return std::unexpected(co_await error_of(response));
    co_return co_await read_manifest(std::move(response), std::move(which));
}

Async<Result<ManifestBytes>> RemoteRepository::read_manifest(net::ClientResponse response,
                                                             TagOrDigest which) {
    CONSIGN_CO_TRY(body, co_await net::read_all(*response.body, kManifestLimitBytes));
    // Not every registry says Docker-Content-Digest; then what a tag names is whatever came.
    const auto said = Digest::parse(response.headers.get("Docker-Content-Digest"));
    auto expected = which.digest;
    if (!expected && said) expected = *said;
    Hasher hasher(expected ? expected->algorithm() : "sha256");
    hasher.update(as_bytes(body));
    ManifestBytes out;
    out.descriptor.digest = hasher.finish();
    if (expected && out.descriptor.digest != *expected)
        co_return fail(Code::corrupt,
                       std::format("manifest {} from {}: the bytes are {}, not {}", which.str(), describe(),
                                   out.descriptor.digest.str(), expected->str()));
    const auto type = response.headers.get("Content-Type");
    out.descriptor.media_type = std::string(type.substr(0, type.find_first_of("; ")));
    // Some serve manifests as what they are to them: JSON, or text. The body may say better.
    if (out.descriptor.media_type.starts_with("text/") || out.descriptor.media_type == "application/json" ||
        out.descriptor.media_type == "application/octet-stream")
        out.descriptor.media_type.clear();
    if (out.descriptor.media_type.empty())
        if (auto parsed = Manifest::parse(body, "")) out.descriptor.media_type = parsed->media_type;
    out.descriptor.size = body.size();
    out.body = std::move(body);
    co_return out;
}

Async<Result<void>> RemoteRepository::put_manifest(ManifestBytes manifest, std::string tag) {
    const auto digest = manifest.descriptor.digest;
    auto put = request(Verb::put, "/manifests/" + (tag.empty() ? digest.str() : tag));
    put.headers.set("Content-Type", manifest.descriptor.media_type);
    Hasher hasher(digest.algorithm());
    hasher.update(as_bytes(manifest.body));
    if (hasher.finish() != digest)
        co_return fail(Code::corrupt, "the manifest to push is not " + digest.str());
    put.body = manifest.body;
    CONSIGN_CO_TRY(response, co_await client_.send(std::move(put), scope(Access::push)));
    if (!response.ok()) co_return std::unexpected(co_await error_of(response));
    co_await client_.drop(response);
    const auto stored = response.headers.get("Docker-Content-Digest");
    if (!stored.empty() && stored != digest.str())
        co_return fail(Code::corrupt,
                       std::format("{} stored the manifest as {}, not {}", describe(), stored, digest.str()),
                       "something between here and the registry rewrites manifests");
    if (response.headers.has("OCI-Subject")) co_return Result<void>{};
    const auto parsed = Manifest::parse(manifest.body, manifest.descriptor.media_type);
    if (!parsed || !parsed->subject) co_return Result<void>{};
    auto listed = manifest.descriptor;
    listed.annotations = parsed->annotations;
    listed.platform.reset();
    listed.artifact_type = parsed->artifact_type;
    if (!listed.artifact_type && parsed->config) listed.artifact_type = parsed->config->media_type;
    co_return co_await list_by_tag(*parsed->subject, std::move(listed));
}

Async<Result<bool>> RemoteRepository::has_blob(Descriptor blob) {
    CONSIGN_CO_TRY(response, co_await client_.send(request(Verb::head, "/blobs/" + blob.digest.str()),
                                                   scope(Access::pull)));
    if (response.status == 404) co_return false;
    if (!response.ok()) co_return std::unexpected(co_await error_of(response));
    co_return !response.content_length || *response.content_length == blob.size;
}

Async<Result<std::unique_ptr<net::Source>>> RemoteRepository::open_blob(Descriptor blob,
                                                                        std::uint64_t offset) {
    auto get = request(Verb::get, "/blobs/" + blob.digest.str());
    if (offset > 0) get.headers.set("Range", std::format("bytes={}-", offset));
    CONSIGN_CO_TRY(response, co_await client_.send(std::move(get), scope(Access::pull)));
    if (!response.ok()) co_return std::unexpected(co_await error_of(response));
    std::uint64_t at = 0;
    if (response.status == 206) {
        const auto first = first_byte(response.headers.get("Content-Range"));
        if (!first || *first > offset)
            co_return fail(Code::unavailable, describe() + " cannot go on with an interrupted blob",
                           "try again");
        at = *first;
    }
    if (response.content_length && *response.content_length != blob.size - at)
        co_return fail(Code::corrupt, std::format("{} from {} has {} bytes, not {}", blob.digest.str(),
                                                  describe(), *response.content_length + at, blob.size));
    // A registry may ignore Range and send all of it: what we have is read away.
    CONSIGN_CO_CHECK(co_await skip(*response.body, offset - at));
    co_return std::move(response.body);
}

Async<Result<std::unique_ptr<net::Source>>> RemoteRepository::fetch_blob(Descriptor blob) {
    CONSIGN_CO_TRY(body, co_await fetch_blob_from(blob, 0));
    co_return std::make_unique<VerifyingSource>(std::move(body), std::move(blob), describe());
}

Async<Result<std::unique_ptr<net::Source>>> RemoteRepository::fetch_blob_from(Descriptor blob,
                                                                              std::uint64_t offset) {
    CONSIGN_CO_TRY(body, co_await open_blob(blob, offset));
    co_return std::make_unique<ResumingSource>(*this, std::move(blob), offset, std::move(body));
}

Async<Result<void>> RemoteRepository::remove(TagOrDigest which) {
    CONSIGN_CO_TRY(response, co_await client_.send(request(Verb::delete_, "/manifests/" + which.str()),
                                                   scope(Access::delete_)));
    if (!response.ok()) co_return std::unexpected(co_await error_of(response));
    co_await client_.drop(response);
    co_return Result<void>{};
}

std::unique_ptr<Repository> open_remote(net::Client& client, RemoteOptions options, std::string repository) {
    return std::make_unique<RemoteRepository>(client, std::move(options), std::move(repository));
}

} // namespace consign::oci
