// First all manifests are read, so that the size of the job is known and each blob is copied once however
// many manifests name it; then the blobs, several at a time; then the manifests, children before their index,
// so that the target never has a manifest that it cannot serve. The tag comes last: readers see the old
// artifact or the new.
#include "consign/oci/copy.hpp"
#include "copy_plan.hpp"
#include "source.hpp"
#include "transfer_journal.hpp"
#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <format>

namespace consign::oci {

namespace {

using net::Async;

// What one blob under way holds at most: the piece that is read (256 KiB), the connections' buffers on both
// sides, and the frames of the coroutines in between.
constexpr std::size_t kBlobMemory = 1u << 20;
// Of a blob up to this size the time goes into round trips and the target's fsyncs, which many share: as many
// more of them are under way at once, each held whole.
constexpr std::uint64_t kSmallBytes = 64 * 1024;
constexpr std::size_t kSmallMemory = 128 * 1024;
constexpr std::size_t kSmallPerLarge = 7;
// A journal entry costs two fsyncs; a smaller blob is sent again as quickly.
constexpr std::uint64_t kJournalFromBytes = 1u << 20;

/// What the workers share; lives until the last has ended.
struct Transfer {
    Transfer(Repository& from, Repository& to, std::vector<Descriptor> all, CopyOptions with,
             net::Executor executor)
        : source(from), target(to), blobs(std::move(all)), options(std::move(with)),
          journal(options.state_directory), end(blobs.size()), workers(executor),
          ended(executor, net::SteadyTime::max()) {
        progress.blobs_total = blobs.size();
        for (const auto& blob : blobs) progress.bytes_total += blob.size;
    }
    void report() const {
        if (options.on_progress) options.on_progress(progress);
    }
    void begin(const Descriptor& blob) {
        progress.active.push_back({.digest = blob.digest, .size = blob.size});
    }
    void done(const Descriptor& blob) {
        std::erase_if(progress.active,
                      [&](const CopyProgress::Active& one) { return one.digest == blob.digest; });
    }
    CopyProgress::Active* active(const Descriptor& blob) {
        const auto found = std::ranges::find(progress.active, blob.digest, &CopyProgress::Active::digest);
        return found == progress.active.end() ? nullptr : &*found;
    }

    Repository& source;
    Repository& target;
    std::vector<Descriptor> blobs;
    CopyOptions options;
    TransferJournal journal;
    CopyProgress progress = {};
    std::size_t next = 0, end; ///< of `blobs`: what nobody has begun
    std::size_t running = 0;
    std::optional<Error> failure = {}; ///< the first
    net::TaskGroup workers;
    net::Timer ended; ///< cancelled by each worker that ends
};

/// How much of one blob counts in the progress: an attempt that begins anew takes back what it had counted.
struct Counter {
    std::shared_ptr<Transfer> transfer;
    Descriptor blob;
    std::uint64_t sent = 0, spared = 0;

    void restart() {
        transfer->progress.bytes_done -= sent;
        sent = 0;
        show();
    }
    void send(std::uint64_t bytes) {
        transfer->progress.bytes_done += bytes;
        sent += bytes;
        show();
    }
    void spare(std::uint64_t bytes) {
        transfer->progress.bytes_skipped += bytes - spared;
        spared = bytes;
        show();
    }
    void show() const {
        if (auto* active = transfer->active(blob)) active->done = sent + spared;
        transfer->report();
    }
};

Async<Result<std::unique_ptr<net::Source>>> open_counted(std::shared_ptr<Counter> counter,
                                                         std::uint64_t offset) {
    auto& source = counter->transfer->source;
    auto content = co_await (offset == 0 ? source.fetch_blob(counter->blob)
                                         : source.fetch_blob_from(counter->blob, offset));
    if (!content) co_return std::unexpected(std::move(content).error());
    // What this process had sent before is counted as sent, whatever is read again of it.
    if (offset != counter->sent + counter->spared) {
        counter->restart();
        counter->spare(offset);
    }
    co_return std::make_unique<CountingSource>(std::move(*content),
                                               [counter](std::size_t bytes) { counter->send(bytes); });
}

Async<Result<void>> push_blob(std::shared_ptr<Transfer> transfer, Descriptor blob) {
    auto& source = transfer->source;
    auto& target = transfer->target;
    auto counter = std::make_shared<Counter>(Counter{.transfer = transfer, .blob = blob});
    Push push{.blob = blob,
              .open = [counter](std::uint64_t offset) { return open_counted(counter, offset); }};
    push.on_spared = [counter](std::uint64_t bytes) { counter->spare(bytes); };
    if (!target.registry().empty() && target.registry() == source.registry() &&
        target.name() != source.name())
        push.mount_from = source.name();
    if (transfer->journal.on() && blob.size >= kJournalFromBytes) {
        push.session = co_await transfer->journal.find(target.describe(), blob);
        push.remember = [transfer, blob](std::string session) {
            return transfer->journal.keep(transfer->target.describe(), blob, std::move(session));
        };
    }
    co_return co_await target.push(std::move(push));
}

Async<Result<void>> copy_blob(std::shared_ptr<Transfer> transfer, Descriptor blob) {
    CONSIGN_CO_TRY(there, co_await transfer->target.has_blob(blob));
    if (there) {
        transfer->progress.bytes_skipped += blob.size;
    } else {
        transfer->begin(blob);
        auto pushed = co_await push_blob(transfer, blob);
        transfer->done(blob);
        CONSIGN_CO_CHECK(std::move(pushed));
    }
    ++transfer->progress.blobs_done;
    transfer->report();
    co_return Result<void>{};
}

/// Those who take the small ones begin at the end, where they are.
std::optional<Descriptor> take(Transfer& transfer, bool small) {
    if (transfer.next == transfer.end || transfer.failure) return std::nullopt;
    if (!small) return transfer.blobs[transfer.next++];
    if (transfer.blobs[transfer.end - 1].size > kSmallBytes) return std::nullopt;
    return transfer.blobs[--transfer.end];
}

Async<Result<void>> copy_some(std::shared_ptr<Transfer> transfer, bool small) {
    while (const auto blob = take(*transfer, small)) {
        auto copied = co_await copy_blob(transfer, *blob);
        if (!copied)
            co_return std::unexpected(
                with_context(std::move(copied).error(),
                             std::format("blob {} ({} bytes)", blob->digest.str(), blob->size)));
    }
    co_return Result<void>{};
}

Async<void> work(std::shared_ptr<Transfer> transfer, bool small) {
    Result<void> done;
    try {
        done = co_await copy_some(transfer, small);
    } catch (const std::exception& e) {
        done = fail(Code::internal, std::string("copying a blob threw: ") + e.what());
    }
    if (!done && !transfer->failure) transfer->failure = std::move(done).error();
    --transfer->running;
    transfer->ended.cancel();
}

struct Workers {
    std::size_t any = 1, small = 0;
};

/// As many as asked for, and as the memory holds.
Workers workers_for(const Repository& target, const CopyOptions& options, std::size_t memory) {
    if (target.sequential()) return {};
    Workers out{.any = std::max<std::size_t>(std::min(options.parallel, memory / kBlobMemory), 1)};
    const auto left = memory - std::min(memory, out.any * kBlobMemory);
    out.small = std::min(out.any * kSmallPerLarge, left / kSmallMemory);
    return out;
}

Async<Result<void>> copy_blobs(std::shared_ptr<Transfer> transfer, Workers workers) {
    const auto& blobs = transfer->blobs;
    const auto small = static_cast<std::size_t>(
        std::ranges::count_if(blobs, [](const Descriptor& blob) { return blob.size <= kSmallBytes; }));
    const auto any = std::min(workers.any, blobs.size());
    workers.small = std::min(workers.small, small);
    transfer->running = any + workers.small;
    for (auto i = any; i > 0; --i) transfer->workers.spawn(work(transfer, false));
    for (auto i = workers.small; i > 0; --i) transfer->workers.spawn(work(transfer, true));
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

Async<Result<Descriptor>> copy(Repository& source, TagOrDigest which, Repository& target, std::string tag,
                               CopyOptions options) {
    // Manifests may take half of the memory, so that at least half is left for what moves.
    CONSIGN_CO_TRY(plan, co_await plan_copy(source, std::move(which), std::move(tag), options,
                                            options.memory_bytes / 2));
    const auto workers = workers_for(target, options, options.memory_bytes - plan.manifest_bytes);
    if (!target.sequential()) // the longest first: one that comes last would go on alone
        std::ranges::stable_sort(plan.blobs, std::ranges::greater(), &Descriptor::size);

    const net::Executor executor = co_await net::asio::this_coro::executor;
    auto transfer =
        std::make_shared<Transfer>(source, target, std::move(plan.blobs), std::move(options), executor);
    transfer->report();
    CONSIGN_CO_CHECK(co_await copy_blobs(transfer, workers));

    Descriptor root;
    for (auto& [manifest, own_tag] : plan.manifests) {
        root = manifest.descriptor;
        CONSIGN_CO_CHECK(co_await target.put_manifest(std::move(manifest), std::move(own_tag)));
    }
    co_return root;
}

} // namespace consign::oci
