#include "consign/oci/remote.hpp"
#include "errors.hpp"
#include "remote_auth.hpp"
#include "source.hpp"
#include <format>

namespace consign::oci {

namespace {

using net::Async;
using net::ClientRequest;
using net::ClientResponse;
using net::Verb;

constexpr std::size_t kErrorBodyLimit = 256 * 1024;
constexpr int kResumes = 5;
// A registry may hash and fsync gigabytes before it answers the PUT that completes a blob.
constexpr auto kFinishDeadline = std::chrono::minutes(10);

class RemoteRepository final : public Repository {
  public:
    RemoteRepository(net::Client& client, RemoteOptions options, std::string repository)
        : client_(client), registry_(options.registry), repository_(repository),
          auth_(client, std::move(options), std::move(repository)) {}

    Async<Result<ManifestBytes>> fetch_manifest(TagOrDigest which) override;
    Async<Result<void>> put_manifest(ManifestBytes manifest, std::string tag) override;
    Async<Result<bool>> has_blob(Descriptor blob) override;
    Async<Result<std::unique_ptr<net::Source>>> fetch_blob(Descriptor blob) override;
    Async<Result<void>> push_blob(Descriptor blob, net::Source& content) override;
    std::string describe() const override { return registry_.host_header() + "/" + repository_; }

    /// The blob from `offset` on.
    Async<Result<std::unique_ptr<net::Source>>> open_blob(Descriptor blob, std::uint64_t offset);

  private:
    ClientRequest request(Verb verb, std::string_view below) const {
        ClientRequest out{.verb = verb, .url = registry_};
        out.url.target = "/v2/" + repository_ + std::string(below);
        return out;
    }
    /// Sends with the credential we have; after a 401 gets the one that is asked for and sends once more.
    Async<Result<ClientResponse>> send(ClientRequest request, bool push);
    /// The error that a response stands for; reads its body, so that the connection can be used again.
    Async<Error> error_of(ClientResponse& response);

    net::Client& client_;
    net::Url registry_;
    std::string repository_;
    RemoteAuth auth_;
};

/// Goes on where a broken connection stopped; the digest check around it covers all pieces together.
class ResumingSource final : public net::Source {
  public:
    ResumingSource(RemoteRepository& repository, Descriptor blob, std::unique_ptr<net::Source> body)
        : repository_(repository), blob_(std::move(blob)), body_(std::move(body)) {}

    Async<Result<std::size_t>> read(std::span<std::byte> into) override {
        for (;;) {
            auto count = co_await body_->read(into);
            if (count && (*count > 0 || done_ >= blob_.size)) {
                done_ += *count;
                co_return count;
            }
            const bool broken = !count && count.error().code != Code::cancelled;
            if ((!count && !broken) || left_-- == 0 || co_await net::cancelled()) co_return count;
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
    std::uint64_t done_ = 0;
    int left_ = kResumes;
};

Async<Result<ClientResponse>> RemoteRepository::send(ClientRequest request, bool push) {
    // An upload's Location may be elsewhere (a storage service with a signed URL): our credential is not for
    // it.
    const bool ours = request.url.origin() == registry_.origin();
    const bool repeatable = !std::holds_alternative<net::StreamBody>(request.body);
    for (int attempt = 0;; ++attempt) {
        auto sent = ours ? auth_.header(push) : std::string();
        auto copy = request;
        if (!sent.empty()) copy.headers.set("Authorization", sent);
        CONSIGN_CO_TRY(response, co_await client_.send(std::move(copy)));
        if (response.status != 401 || !ours || !repeatable || attempt > 0) co_return std::move(response);
        std::string challenge;
        for (const auto field : response.headers.all("WWW-Authenticate"))
            challenge += (challenge.empty() ? "" : ", ") + std::string(field);
        auto refused = co_await error_of(response);
        if (challenge.empty()) co_return std::unexpected(std::move(refused));
        CONSIGN_CO_CHECK(co_await auth_.renew(std::move(challenge), push, std::move(sent)));
    }
}

Async<Error> RemoteRepository::error_of(ClientResponse& response) {
    std::string text;
    if (response.body)
        if (auto body = co_await net::read_all(*response.body, kErrorBodyLimit)) text = std::move(*body);
    co_return error_from_registry(response.status, response.headers.get("Content-Type"), text, describe());
}

Async<Result<ManifestBytes>> RemoteRepository::fetch_manifest(TagOrDigest which) {
    auto get = request(Verb::get, "/manifests/" + which.str());
    get.headers.set("Accept", std::format("{}, {}, {}, {}", media::kImageIndex, media::kImageManifest,
                                          media::kDockerManifestList, media::kDockerManifest));
    CONSIGN_CO_TRY(response, co_await send(std::move(get), false));
    if (!response.ok()) co_return std::unexpected(co_await error_of(response));
    CONSIGN_CO_TRY(body, co_await net::read_all(*response.body, kManifestLimitBytes));

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
    put.body = std::move(manifest.body);
    CONSIGN_CO_TRY(response, co_await send(std::move(put), true));
    if (!response.ok()) co_return std::unexpected(co_await error_of(response));
    (void)co_await error_of(response);
    const auto stored = response.headers.get("Docker-Content-Digest");
    if (!stored.empty() && stored != digest.str())
        co_return fail(Code::corrupt,
                       std::format("{} stored the manifest as {}, not {}", describe(), stored, digest.str()),
                       "something between here and the registry rewrites manifests");
    co_return Result<void>{};
}

Async<Result<bool>> RemoteRepository::has_blob(Descriptor blob) {
    CONSIGN_CO_TRY(response, co_await send(request(Verb::head, "/blobs/" + blob.digest.str()), false));
    if (response.status == 404) co_return false;
    if (!response.ok()) co_return std::unexpected(co_await error_of(response));
    co_return !response.content_length || *response.content_length == blob.size;
}

Async<Result<std::unique_ptr<net::Source>>> RemoteRepository::open_blob(Descriptor blob,
                                                                        std::uint64_t offset) {
    auto get = request(Verb::get, "/blobs/" + blob.digest.str());
    if (offset > 0) get.headers.set("Range", std::format("bytes={}-", offset));
    CONSIGN_CO_TRY(response, co_await send(std::move(get), false));
    if (!response.ok()) co_return std::unexpected(co_await error_of(response));
    if (offset > 0 && (response.status != 206 ||
                       !response.headers.get("Content-Range").starts_with(std::format("bytes {}-", offset))))
        co_return fail(Code::unavailable, describe() + " cannot go on with an interrupted blob", "try again");
    if (response.content_length && *response.content_length != blob.size - offset)
        co_return fail(Code::corrupt, std::format("{} from {} has {} bytes, not {}", blob.digest.str(),
                                                  describe(), *response.content_length + offset, blob.size));
    co_return std::move(response.body);
}

Async<Result<std::unique_ptr<net::Source>>> RemoteRepository::fetch_blob(Descriptor blob) {
    CONSIGN_CO_TRY(body, co_await open_blob(blob, 0));
    auto resuming = std::make_unique<ResumingSource>(*this, blob, std::move(body));
    co_return std::make_unique<VerifyingSource>(std::move(resuming), std::move(blob), describe());
}

Async<Result<void>> RemoteRepository::push_blob(Descriptor blob, net::Source& content) {
    CONSIGN_CO_TRY(begun, co_await send(request(Verb::post, "/blobs/uploads/"), true));
    if (begun.status != 202) co_return std::unexpected(co_await error_of(begun));
    (void)co_await error_of(begun);
    CONSIGN_CO_TRY(location, begun.url.resolve(begun.headers.get("Location")));

    // One PUT with a known length: every registry takes it, while chunks are dropped or refused by some.
    ClientRequest put{.verb = Verb::put, .url = location};
    put.url.target +=
        (location.target.contains('?') ? "&digest=" : "?digest=") + net::percent_encode(blob.digest.str());
    put.headers.set("Content-Type", "application/octet-stream");
    put.response_deadline = kFinishDeadline;
    auto verified =
        std::make_shared<VerifyingSource>(std::make_unique<BorrowedSource>(content), blob, "the source");
    put.body = net::StreamBody{.source = verified, .size = blob.size};
    auto done = co_await send(std::move(put), true);
    if (verified->failure()) co_return std::unexpected(*verified->failure());
    if (!done) co_return std::unexpected(std::move(done).error());
    if (!done->ok()) co_return std::unexpected(co_await error_of(*done));
    (void)co_await error_of(*done);
    co_return Result<void>{};
}

} // namespace

std::unique_ptr<Repository> open_remote(net::Client& client, RemoteOptions options, std::string repository) {
    return std::make_unique<RemoteRepository>(client, std::move(options), std::move(repository));
}

} // namespace consign::oci
