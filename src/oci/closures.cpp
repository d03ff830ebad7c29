#include "closures.hpp"
#include "errors.hpp"
#include <format>

namespace consign::oci {

namespace {

constexpr int kDepthLimit = 8; // as copy's: what cannot be copied need not be readable
constexpr std::size_t kBytesLimit = 64u << 20;
constexpr std::size_t kKnownLimit = 1024;

} // namespace

std::string manifest_types() {
    return std::format("{}, {}, {}, {}", media::kImageIndex, media::kImageManifest,
                       media::kDockerManifestList, media::kDockerManifest);
}

net::Async<Result<ManifestBytes>> fetch_manifest(const Upstream& upstream, std::string repository,
                                                 Digest digest) {
    auto get = upstream.request(net::Verb::get, "/v2/" + repository + "/manifests/" + digest.str());
    get.headers.set("Accept", manifest_types());
    CONSIGN_CO_TRY(response,
                   co_await upstream.send(std::move(get), repository, "repository:" + repository + ":pull"));
    auto body = co_await net::read_all(*response.body, kManifestLimitBytes);
    const auto type = response.headers.get("Content-Type");
    if (!response.ok())
        co_return upstream.our_trouble(
            error_from_registry(response.status, type, body.value_or(""), upstream.account().describe()));
    if (!body) co_return std::unexpected(std::move(body).error());
    Hasher hasher(digest.algorithm());
    hasher.update(as_bytes(*body));
    if (hasher.finish() != digest)
        co_return fail(Code::corrupt,
                       upstream.account().describe() + " answered with other bytes for " + digest.str());
    ManifestBytes out;
    out.descriptor.media_type = std::string(type.substr(0, type.find_first_of("; ")));
    out.descriptor.digest = std::move(digest);
    out.descriptor.size = body->size();
    out.body = std::move(*body);
    co_return out;
}

net::Async<Result<void>> Closures::add(std::string repository, Digest digest, int depth, Members& members,
                                       std::size_t& bytes) {
    if (!members.manifests.insert(digest).second) co_return Result<void>{};
    if (depth > kDepthLimit)
        co_return fail(Code::unsupported,
                       std::format("{} is nested deeper than {} indexes", digest.str(), kDepthLimit));
    CONSIGN_CO_TRY(fetched, co_await fetch_manifest(upstream_, repository, digest));
    bytes += fetched.body.size();
    if (bytes > kBytesLimit)
        co_return fail(Code::too_large,
                       std::format("the manifests have more than {} bytes together", kBytesLimit));
    CONSIGN_CO_TRY(manifest, Manifest::parse(fetched.body, fetched.descriptor.media_type));
    for (const auto& blob : manifest.blobs()) members.blobs.insert(blob.digest);
    for (const auto& child : manifest.manifests)
        CONSIGN_CO_CHECK(co_await add(repository, child.digest, depth + 1, members, bytes));
    co_return Result<void>{};
}

net::Async<Result<std::shared_ptr<const Closures::Members>>> Closures::of(std::string repository,
                                                                          Digest root) {
    const auto key = repository + "@" + root.str();
    {
        const std::scoped_lock lock(mutex_);
        if (const auto found = known_.find(key); found != known_.end()) co_return found->second;
    }
    auto members = std::make_shared<Members>();
    std::size_t bytes = 0;
    CONSIGN_CO_CHECK(co_await add(std::move(repository), std::move(root), 1, *members, bytes));
    const std::scoped_lock lock(mutex_);
    if (known_.size() >= kKnownLimit) known_.clear();
    known_[key] = members;
    co_return members;
}

} // namespace consign::oci
