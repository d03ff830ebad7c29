#include "install/sync.hpp"
#include "consign/oci/remote.hpp"
#include "consign/protocol/vendor_registry.hpp"
#include <format>

namespace consign::install {
namespace {

oci::TagOrDigest by_digest(Digest digest) { return {.tag = {}, .digest = std::move(digest)}; }

/// The URL's path, if it has one, stands in front of the repositories' names.
std::string name_at(const net::Url& registry, const std::string& repository) {
    auto prefix = registry.target.substr(1);
    if (!prefix.empty() && !prefix.ends_with('/')) prefix += '/';
    return prefix + repository;
}

/// A release version that is no tag stays unnamed here; the digest is what counts.
std::string tag_of(const std::string& release) { return oci::is_tag(release) ? release : std::string(); }

net::Async<Result<void>> tag_locally(oci::Repository& local, Digest digest, std::string tag) {
    if (tag.empty()) co_return Result<void>{};
    const auto tagged = co_await local.fetch_manifest({.tag = tag, .digest = std::nullopt});
    if (tagged && tagged->descriptor.digest == digest) co_return Result<void>{};
    CONSIGN_CO_TRY(manifest, co_await local.fetch_manifest(by_digest(digest)));
    co_return co_await local.put_manifest(manifest, std::move(tag));
}

net::Async<Result<bool>> present_and_tagged(oci::Repository& local, Digest digest, std::string tag) {
    CONSIGN_CO_TRY(present, co_await has_closure(local, digest));
    if (present) CONSIGN_CO_CHECK(co_await tag_locally(local, digest, std::move(tag)));
    co_return present;
}

net::Async<Result<oci::CopyProgress>> pull(net::Client& http, oci::RemoteOptions remote_options,
                                           std::string repository, oci::Repository& local, Digest digest,
                                           std::string tag, std::filesystem::path state) {
    const auto remote = oci::open_remote(http, std::move(remote_options), std::move(repository));
    oci::CopyProgress progress;
    oci::CopyOptions options;
    options.on_progress = [&progress](const oci::CopyProgress& now) { progress = now; };
    options.state_directory = std::move(state);
    CONSIGN_CO_TRY(copied, co_await oci::copy(*remote, by_digest(digest), local, std::move(tag), options));
    if (copied.digest != digest)
        co_return fail(Code::corrupt,
                       "the vendor registry answered with " + copied.digest.str() + " for " + digest.str());
    co_return progress;
}

} // namespace

net::Async<Result<bool>> has_closure(oci::Repository& repository, Digest root) {
    auto fetched = co_await repository.fetch_manifest(by_digest(root));
    if (!fetched) {
        // A damaged manifest is as good as none: the copy brings it again.
        if (fetched.error().code == Code::not_found || fetched.error().code == Code::corrupt) co_return false;
        co_return std::unexpected(fetched.error());
    }
    CONSIGN_CO_TRY(manifest, oci::Manifest::parse(fetched->body, fetched->descriptor.media_type));
    for (const auto& blob : manifest.blobs()) {
        CONSIGN_CO_TRY(present, co_await repository.has_blob(blob));
        if (!present) co_return false;
    }
    for (const auto& child : manifest.manifests) {
        CONSIGN_CO_TRY(present, co_await has_closure(repository, child.digest));
        if (!present) co_return false;
    }
    co_return true;
}

Result<std::string> sync_artifact(agent::JobContext& context, oci::Registry& registry,
                                  const protocol::ArtifactRef& artifact, const std::string& release) {
    CONSIGN_TRY(local, registry.repository(artifact.repository));
    return sync_artifact(context, *local, artifact, release);
}

Result<std::string> sync_artifact(agent::JobContext& context, oci::Repository& local,
                                  const protocol::ArtifactRef& artifact, const std::string& release) {
    CONSIGN_TRY(present, context.io().run(present_and_tagged(local, artifact.digest, tag_of(release)),
                                          context.stop()));
    if (present) {
        context.log("artifact " + artifact.digest.str() + " is in the install's registry already\n");
        return "already here; no token was spent";
    }

    CONSIGN_TRY(token, context.pull_token());
    context.redact(token.password);
    if (token.digest != artifact.digest || token.repository != artifact.repository)
        return fail(Code::failed, "the pull token is for " + token.repository + "@" + token.digest.str() +
                                      ", the job for " + artifact.repository + "@" + artifact.digest.str());
    CONSIGN_TRY(url, protocol::vendor_registry(token.registry, context.ims()));
    context.log("copying " + artifact.repository + "@" + artifact.digest.str() + " from " + url.origin() +
                "\n");
    oci::RemoteOptions remote{
        .registry = url, .username = token.username, .password = Secret<std::string>(token.password)};
    remote.one_time_password = true;
    auto progress =
        context.io().run(pull(context.http(), std::move(remote), name_at(url, artifact.repository), local,
                              artifact.digest, tag_of(release), context.data() / "transfers"),
                         context.stop());
    if (!progress)
        return std::unexpected(
            with_context(progress.error(), "cannot copy the artifact from " + url.origin()));
    return std::format("{} bytes copied, {} were here already", progress->bytes_done,
                       progress->bytes_skipped);
}

} // namespace consign::install
