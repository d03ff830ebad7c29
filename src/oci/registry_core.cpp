#include "registry_core.hpp"
#include "blob_files.hpp"
#include "consign/base/log.hpp"
#include "metadata_upkeep.hpp"
#include <format>
#include <unistd.h>

namespace consign::oci {

namespace {

// Below this hashing and parsing take less time than the way to the pool and back.
constexpr std::size_t kInlineManifestBytes = 16 * 1024;
// How old a touch may be before it is renewed: a push asks for the same blob many times in a row. What a
// grace period promises is shorter by this.
constexpr auto kTouchEvery = std::chrono::seconds(60);
constexpr std::size_t kHashPieceBytes = 1u << 20; // 1 ms: others wait for the same few threads

Result<metadata::NewManifest> prepare(std::string media_type, std::string body,
                                      const std::optional<Digest>& expected) {
    metadata::NewManifest out;
    Hasher hasher(expected ? expected->algorithm() : "sha256");
    hasher.update(as_bytes(body));
    out.bytes.descriptor.digest = hasher.finish();
    if (expected && out.bytes.descriptor.digest != *expected)
        return fail(Code::corrupt,
                    "the manifest is " + out.bytes.descriptor.digest.str() + ", not " + expected->str());
    CONSIGN_TRY(parsed, Manifest::parse(body, media_type));
    out.parsed = std::move(parsed);
    out.bytes.descriptor.media_type = out.parsed.media_type;
    out.bytes.descriptor.size = body.size();
    out.bytes.body = std::move(body);
    return out;
}

bool is_what_it_says(const ManifestBytes& manifest) {
    Hasher hasher(manifest.descriptor.digest.algorithm());
    hasher.update(as_bytes(manifest.body));
    return hasher.finish() == manifest.descriptor.digest;
}

std::unexpected<Error> no_blob(const std::string& repository, const Digest& digest) {
    return fail(Code::not_found, "repository " + repository + " has no blob " + digest.str());
}

/// For the log: "shop/web@sha256:… (1.0, 1.1)", the first few.
std::string told(const std::vector<Referrer>& referrers) {
    std::string out;
    for (const auto& one : referrers) {
        if (out.size() > 1000) return out + ", …";
        out += (out.empty() ? "" : ", ") + one.repository;
        if (one.manifest) out += "@" + one.manifest->str();
        std::string tags;
        for (const auto& tag : one.tags) tags += (tags.empty() ? "" : ", ") + tag;
        if (!tags.empty()) out += " (" + tags + ")";
    }
    return out.empty() ? "nobody" : out;
}

Error no_room(const std::string& repository, std::uint64_t room) {
    return {
        Code::permission_denied,
        std::format("the quota of repository {} or of the registry has room for {} bytes only", repository,
                    room),
        "delete what is not needed and have the registry's operator collect it, or ask for a larger quota"};
}

} // namespace

net::Async<Result<RegistryCore::Opened>> RegistryCore::open_blob(std::string repository, Digest digest) {
    CONSIGN_CO_TRY(link, co_await database->read(
                             [=](store::Connection& c) { return metadata::link(c, repository, digest); }));
    if (!link) co_return no_blob(repository, digest);
    auto body = co_await blobs->open(digest);
    if (!body && body.error().code != Code::not_found) co_return std::unexpected(std::move(body).error());
    if (!body) { // quarantined, or somebody removed it; answered as unknown, so that the next push puts it
                 // right
        log::error("a stored blob is missing", {{"repository", repository}, {"digest", digest.str()}});
        co_return no_blob(repository, digest);
    }
    Opened out{.body = std::move(*body), .stamp = link->stamp, .touched_at = link->touched_at};
    const auto now = stamp_of(out.body);
    if (out.body.size == link->size && !now.empty() && now == link->stamp) co_return out;
    bool good = out.body.size == link->size;
    if (good) {
        CONSIGN_CO_TRY(held, co_await holds(out.body, digest, pool));
        good = held;
    }
    if (!good) {
        co_await blob_is_damaged(digest, std::move(out));
        co_return no_blob(repository, digest);
    }
    // Only a saving: without it the next one reads it again.
    (void)co_await database->write(
        [digest, now](store::Transaction& tx) { return metadata::verified(tx, digest, now); });
    out.stamp = now;
    co_return out;
}

net::Async<void> RegistryCore::blob_is_damaged(Digest digest, Opened opened) {
    const auto moved = co_await blobs->quarantine(digest, stamp_of(opened.body));
    if (moved && !*moved) co_return; // it was replaced
    const auto marked =
        co_await database->write([digest, stamp = opened.stamp, now = clock.now()](store::Transaction& tx) {
            return metadata::quarantined(tx, digest, stamp, now);
        });
    const auto referrers = co_await database->read(
        [digest](store::Connection& c) { return metadata::blob_referrers(c, digest); });
    log::error("a stored blob is damaged; it is set aside until it is pushed again",
               {{"digest", digest.str()},
                {"bytes", opened.body.size},
                {"needed_by", referrers ? told(*referrers) : to_string(referrers.error())},
                {"problem", !moved    ? to_string(moved.error())
                            : !marked ? to_string(marked.error())
                                      : ""}});
}

bool RegistryCore::is_old(Time touched_at) const {
    const auto now = clock.now();
    return now - touched_at >= kTouchEvery || now < touched_at;
}

net::Async<Result<bool>> RegistryCore::remove_manifest(std::string repository, TagOrDigest which) {
    co_return co_await database->write([repository, which](store::Transaction& tx) {
        return which.digest ? metadata::delete_manifest(tx, repository, *which.digest)
                            : metadata::delete_tag(tx, repository, which.tag);
    });
}

net::Async<Result<bool>> RegistryCore::keep_blob(std::string repository, Digest digest) {
    auto opened = co_await open_blob(repository, digest);
    if (!opened && opened.error().code == Code::not_found) co_return false;
    if (!opened) co_return std::unexpected(std::move(opened).error());
    if (!is_old(opened->touched_at)) co_return true;
    co_return co_await database->write([=, now = clock.now()](store::Transaction& tx) {
        return metadata::touch_link(tx, repository, digest, now);
    });
}

net::Async<Result<void>> RegistryCore::link_blob(std::string repository, Digest digest,
                                                 BlobStore::Finished finished) {
    const metadata::Link link{
        .size = finished.size, .touched_at = clock.now(), .stamp = std::move(finished.stamp)};
    auto pin = std::make_shared<BlobStore::Pin>(std::move(finished.pin));
    const bool is_unsynced = !finished.unsynced.empty();
    auto linked =
        co_await database->write([this, repository, digest, link, pin, bytes = std::move(finished.unsynced)](
                                     store::Transaction& tx) -> Result<void> {
            auto done = metadata::link_blob(tx, repository, digest, link, limits());
            if (done && !bytes.empty()) done = SmallBlobs::keep(tx, digest, bytes);
            if (done || done.error().code != Code::permission_denied) return done;
            // Nothing is left behind. Without a row the file has just come, or a collection of garbage is
            // done with it: no link to it is on disk, so it may go before this is.
            const auto row = metadata::has_blob_row(tx, digest);
            pin->reset();
            if (row && !*row) (void)blobs->discard(digest);
            return done;
        });
    if (!linked && linked.error().code == Code::permission_denied) (void)co_await blobs->purge();
    if (linked && is_unsynced) co_await small_blobs.kept();
    co_return linked;
}

net::Async<Result<bool>> RegistryCore::mount_blob(std::string from, std::string to, Digest digest) {
    CONSIGN_CO_TRY(pin, co_await blobs->pin(digest));
    auto opened = co_await open_blob(from, digest);
    if (!opened && opened.error().code == Code::not_found) co_return false;
    if (!opened) co_return std::unexpected(std::move(opened).error());
    CONSIGN_CO_CHECK(
        co_await link_blob(to, digest, {.size = opened->body.size, .stamp = {}, .pin = std::move(pin)}));
    co_return true;
}

net::Async<Result<std::uint64_t>> RegistryCore::room(std::string repository, std::optional<Digest> digest,
                                                     std::uint64_t announced) {
    std::uint64_t left = UINT64_MAX;
    if (has_repository_quotas || options.quota_bytes > 0 || options.repository_quota_bytes > 0) {
        CONSIGN_CO_TRY(allowed, co_await database->read([=, limits = limits()](store::Connection& c) {
            return metadata::room(c, repository, digest, limits);
        }));
        left = allowed;
    }
    if (announced > left) co_return std::unexpected(no_room(repository, left));
    if (options.free_floor_bytes == 0) co_return left;
    CONSIGN_CO_TRY(free, co_await blobs->free_space());
    if (free < options.free_floor_bytes || free - options.free_floor_bytes < announced)
        co_return fail(Code::storage_full,
                       std::format("the registry's disk has {} MiB left and keeps {} MiB free", free >> 20,
                                   options.free_floor_bytes >> 20),
                       "free some space there, then push again");
    co_return left;
}

net::Async<Result<ManifestBytes>> RegistryCore::fetch_manifest(std::string repository, TagOrDigest which,
                                                               bool keep) {
    using Found = std::optional<metadata::FoundManifest>;
    CONSIGN_CO_TRY(found, co_await database->read([=](store::Connection& c) -> Result<Found> {
        auto digest = which.str();
        if (!which.digest) {
            CONSIGN_TRY(resolved, metadata::resolve_tag(c, repository, which.tag));
            if (!resolved) return std::nullopt;
            digest = *resolved;
        }
        return metadata::manifest(c, repository, digest);
    }));
    const auto unknown = [&] {
        return fail(Code::not_found, "repository " + repository + " has no manifest " + which.str());
    };
    if (!found) co_return unknown();
    auto bytes = std::make_shared<ManifestBytes>(std::move(found->bytes));
    const bool good = bytes->body.size() <= kInlineManifestBytes
                          ? is_what_it_says(*bytes)
                          : co_await pool.run([bytes] { return is_what_it_says(*bytes); });
    if (!good) {
        log::error("a stored manifest is damaged; pushing it again repairs it",
                   {{"repository", repository}, {"digest", bytes->descriptor.digest.str()}});
        co_return fail(Code::corrupt,
                       "manifest " + bytes->descriptor.digest.str() + " of " + repository + " is damaged",
                       "push it again");
    }
    if (keep && is_old(found->touched_at)) {
        CONSIGN_CO_TRY(kept, co_await database->write([repository, digest = bytes->descriptor.digest.str(),
                                                       now = clock.now()](store::Transaction& tx) {
            return metadata::touch_manifest(tx, repository, digest, now);
        }));
        if (!kept) co_return unknown();
    }
    co_return std::move(*bytes);
}

net::Async<Result<RegistryCore::Put>> RegistryCore::put_manifest(std::string repository,
                                                                 std::string media_type, std::string body,
                                                                 std::string tag,
                                                                 std::optional<Digest> expected) {
    Result<metadata::NewManifest> made;
    if (body.size() <= kInlineManifestBytes)
        made = prepare(std::move(media_type), std::move(body), expected);
    else
        made = co_await pool.run(
            [=, body = std::move(body)]() mutable { return prepare(media_type, std::move(body), expected); });
    CONSIGN_CO_TRY(manifest, std::move(made));
    Put out{.digest = manifest.bytes.descriptor.digest, .subject = std::nullopt};
    if (manifest.parsed.subject) out.subject = manifest.parsed.subject->digest;
    auto shared = std::make_shared<const metadata::NewManifest>(std::move(manifest));
    CONSIGN_CO_CHECK(
        co_await database->write([=, now = clock.now(), limits = limits()](store::Transaction& tx) {
            return metadata::put_manifest(tx, repository, *shared, tag, now, limits);
        }));
    co_return out;
}

net::Async<Result<bool>> holds(net::FileBody body, Digest digest, net::BlockingPool& pool,
                               std::function<net::Async<void>(std::size_t)> after_piece) {
    struct State {
        State(std::string_view algorithm, std::uint64_t size)
            : hasher(algorithm), buffer(std::min<std::uint64_t>(kHashPieceBytes, size)) {}
        Hasher hasher;
        Bytes buffer;
        std::uint64_t done = 0;
    };
    auto state = std::make_shared<State>(digest.algorithm(), body.size);
    while (state->done < body.size) {
        CONSIGN_CO_TRY(got, co_await pool.run([state, body]() -> Result<std::size_t> {
            const auto wanted = std::min<std::uint64_t>(state->buffer.size(), body.size - state->done);
            const auto count = ::pread(body.file->get(), state->buffer.data(), wanted,
                                       static_cast<off_t>(body.offset + state->done));
            // A disk that cannot read it back is damage, too; what else fails is not the blob's fault.
            if (count < 0 && errno != EIO) return fail_errno("read a blob", errno);
            if (count <= 0) return 0;
            state->hasher.update(ByteView(state->buffer).first(static_cast<std::size_t>(count)));
            state->done += static_cast<std::uint64_t>(count);
            return static_cast<std::size_t>(count);
        }));
        if (got == 0) co_return false;
        if (after_piece) co_await after_piece(got);
        if (co_await net::cancelled()) co_return fail(Code::cancelled, "stopped while reading a blob");
    }
    co_return state->hasher.finish() == digest;
}

net::Async<Result<std::size_t>> LimitedSource::read(std::span<std::byte> into) {
    CONSIGN_CO_TRY(count, co_await inner_.read(into));
    if (count > left_) co_return std::unexpected(no_room(repository_, left_));
    left_ -= count;
    co_return count;
}

} // namespace consign::oci
