// First all manifests are read, so that the size of the job is known and each blob is copied once however
// many manifests name it; then the blobs, several at a time; then the manifests, children before their index,
// so that the target never has a manifest that it cannot serve. The tag comes last: readers see the old
// artifact or the new.
#include "consign/oci/copy.hpp"
#include "source.hpp"
#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <format>
#include <set>

namespace consign::oci {

namespace {

constexpr int kDepthLimit = 8;
// All bodies are held until they are written: a multi-platform image has some tens of KiB.
constexpr std::size_t kManifestsLimitBytes = 64u << 20;

struct Plan {
    std::vector<ManifestBytes> manifests; ///< children before parents
    std::vector<Descriptor> blobs;        ///< each once
    std::set<Digest> seen_manifests, seen_blobs;
    std::size_t manifest_bytes = 0;
};

net::Async<Result<void>> gather(Repository& source, ManifestBytes bytes, int depth, Plan& plan) {
    if (!plan.seen_manifests.insert(bytes.descriptor.digest).second) co_return Result<void>{};
    if (depth > kDepthLimit)
        co_return fail(Code::unsupported,
                       std::format("{} of {} is nested deeper than {} indexes", bytes.descriptor.digest.str(),
                                   source.describe(), kDepthLimit));
    plan.manifest_bytes += bytes.body.size();
    if (plan.manifest_bytes > kManifestsLimitBytes)
        co_return fail(Code::too_large, std::format("the manifests of {} have more than {} bytes together",
                                                    source.describe(), kManifestsLimitBytes));
    auto parsed = Manifest::parse(bytes.body, bytes.descriptor.media_type);
    if (!parsed) co_return std::unexpected(with_context(std::move(parsed).error(), source.describe()));
    for (auto& blob : parsed->blobs())
        if (plan.seen_blobs.insert(blob.digest).second) plan.blobs.push_back(std::move(blob));
    for (const auto& child : parsed->manifests) {
        CONSIGN_CO_TRY(fetched,
                       co_await source.fetch_manifest(TagOrDigest{.tag = {}, .digest = child.digest}));
        if (fetched.body.size() != child.size)
            co_return fail(Code::corrupt, std::format("manifest {} of {} has {} bytes, its index says {}",
                                                      child.digest.str(), source.describe(),
                                                      fetched.body.size(), child.size));
        fetched.descriptor.media_type = child.media_type;
        CONSIGN_CO_CHECK(co_await gather(source, std::move(fetched), depth + 1, plan));
    }
    plan.manifests.push_back(std::move(bytes));
    co_return Result<void>{};
}

/// What the workers share; lives until the last has ended.
struct Transfer {
    Transfer(Repository& from, Repository& to, std::vector<Descriptor> all, CopyOptions with,
             net::Executor executor)
        : source(from), target(to), blobs(std::move(all)), options(std::move(with)), workers(executor),
          ended(executor, net::SteadyTime::max()) {
        progress.blobs_total = blobs.size();
        for (const auto& blob : blobs) progress.bytes_total += blob.size;
    }
    void report() const {
        if (options.on_progress) options.on_progress(progress);
    }

    Repository& source;
    Repository& target;
    std::vector<Descriptor> blobs;
    CopyOptions options;
    CopyProgress progress = {};
    std::size_t next = 0, running = 0;
    std::optional<Error> failure = {}; ///< the first
    net::TaskGroup workers;
    net::Timer ended; ///< cancelled by each worker that ends
};

net::Async<Result<void>> copy_blob(std::shared_ptr<Transfer> transfer, Descriptor blob) {
    CONSIGN_CO_TRY(there, co_await transfer->target.has_blob(blob));
    if (there) {
        transfer->progress.bytes_skipped += blob.size;
    } else {
        CONSIGN_CO_TRY(content, co_await transfer->source.fetch_blob(blob));
        CountingSource counted(std::move(content), [transfer](std::size_t bytes) {
            transfer->progress.bytes_done += bytes;
            transfer->report();
        });
        CONSIGN_CO_CHECK(co_await transfer->target.push_blob(blob, counted));
    }
    ++transfer->progress.blobs_done;
    transfer->report();
    co_return Result<void>{};
}

net::Async<Result<void>> copy_some(std::shared_ptr<Transfer> transfer) {
    while (transfer->next < transfer->blobs.size() && !transfer->failure) {
        const auto blob = transfer->blobs[transfer->next++];
        auto copied = co_await copy_blob(transfer, blob);
        if (!copied)
            co_return std::unexpected(with_context(
                std::move(copied).error(), std::format("blob {} ({} bytes)", blob.digest.str(), blob.size)));
    }
    co_return Result<void>{};
}

net::Async<void> work(std::shared_ptr<Transfer> transfer) {
    Result<void> done;
    try {
        done = co_await copy_some(transfer);
    } catch (const std::exception& e) {
        done = fail(Code::internal, std::string("copying a blob threw: ") + e.what());
    }
    if (!done && !transfer->failure) transfer->failure = std::move(done).error();
    --transfer->running;
    transfer->ended.cancel();
}

net::Async<Result<void>> copy_blobs(std::shared_ptr<Transfer> transfer) {
    transfer->running =
        std::min(std::max<std::size_t>(transfer->options.parallel, 1), transfer->blobs.size());
    for (auto i = transfer->running; i > 0; --i) transfer->workers.spawn(work(transfer));
    bool cancelled = false;
    while (transfer->running > 0 && !cancelled && !transfer->failure) {
        co_await transfer->ended.async_wait(net::asio::as_tuple(net::use_async));
        cancelled = co_await net::cancelled();
    }
    if (cancelled || transfer->failure) transfer->workers.stop();
    co_await transfer->workers.join();
    if (cancelled) co_return fail(Code::cancelled, "the copy was cancelled");
    if (transfer->failure) co_return std::unexpected(*transfer->failure);
    co_return Result<void>{};
}

} // namespace

net::Async<Result<Descriptor>> copy(Repository& source, TagOrDigest which, Repository& target,
                                    std::string tag, CopyOptions options) {
    CONSIGN_CO_TRY(root, co_await source.fetch_manifest(which));
    const auto descriptor = root.descriptor;
    Plan plan;
    CONSIGN_CO_CHECK(co_await gather(source, std::move(root), 1, plan));

    const net::Executor executor = co_await net::asio::this_coro::executor;
    auto transfer =
        std::make_shared<Transfer>(source, target, std::move(plan.blobs), std::move(options), executor);
    CONSIGN_CO_CHECK(co_await copy_blobs(transfer));

    for (auto& manifest : plan.manifests) {
        const bool is_root = manifest.descriptor.digest == descriptor.digest;
        CONSIGN_CO_CHECK(co_await target.put_manifest(std::move(manifest), is_root ? tag : std::string()));
    }
    co_return descriptor;
}

} // namespace consign::oci
