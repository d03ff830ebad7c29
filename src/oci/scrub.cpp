// Scrub reads what is stored again, slowly enough for others to go on. What it finds is set aside like any
// damage that is found by reading, and reported with everybody who refers to it.
#include "blob_files.hpp"
#include "consign/base/log.hpp"
#include "metadata_upkeep.hpp"
#include "registry_core.hpp"

namespace consign::oci {

namespace {

constexpr std::size_t kStep = 100;

class Scrub {
  public:
    Scrub(RegistryCore& core, ScrubOptions options)
        : core_(core), options_(std::move(options)), started_(std::chrono::steady_clock::now()) {}

    net::Async<Result<ScrubReport>> run() {
        CONSIGN_CO_TRY(total, co_await core_.database->read(
                                  [](store::Connection& c) { return metadata::stored_bytes(c); }));
        report_.bytes_total = total;
        CONSIGN_CO_CHECK(co_await blobs());
        CONSIGN_CO_CHECK(co_await needs());
        CONSIGN_CO_CHECK(co_await manifests());
        co_return report_;
    }

  private:
    net::Async<Result<void>> blobs() {
        std::string after;
        for (;;) {
            CONSIGN_CO_TRY(step, co_await core_.database->read([=](store::Connection& c) {
                return metadata::blobs_after(c, after, kStep);
            }));
            if (step.empty()) co_return Result<void>{};
            after = step.back().blob.digest.str();
            if (co_await net::cancelled()) co_return fail(Code::cancelled, "the scrub was stopped");
            for (const auto& one : step) CONSIGN_CO_CHECK(co_await blob(one));
        }
    }

    net::Async<Result<void>> blob(metadata::StoredBlob stored) {
        const auto& digest = stored.blob.digest;
        auto body = co_await core_.blobs->open(digest);
        if (!body && body.error().code != Code::not_found) co_return std::unexpected(std::move(body).error());
        if (!body) co_return co_await file_is_gone(std::move(stored));
        ++report_.blobs;
        bool good = body->size == stored.blob.bytes;
        if (good) {
            CONSIGN_CO_TRY(held, co_await holds(*body, digest, core_.pool,
                                                [this](std::size_t bytes) { return spend(bytes); }));
            good = held;
        }
        if (!good) {
            co_await core_.blob_is_damaged(digest, {.body = *body, .stamp = stored.stamp});
            co_return co_await blob_damage(digest, false);
        }
        // Another file than was known, and right: from a backup, or from before files were remembered.
        if (const auto now = stamp_of(*body); now != stored.stamp && !now.empty())
            CONSIGN_CO_CHECK(co_await core_.database->write(
                [digest, now](store::Transaction& tx) { return metadata::verified(tx, digest, now); }));
        co_return Result<void>{};
    }

    net::Async<Result<void>> file_is_gone(metadata::StoredBlob stored) {
        const auto& digest = stored.blob.digest;
        // It may have been collected since the list was read.
        CONSIGN_CO_TRY(links, co_await core_.database->read([digest](store::Connection& c) {
            return metadata::link_count(c, digest);
        }));
        if (links == 0) co_return Result<void>{};
        CONSIGN_CO_TRY(back, co_await core_.blobs->stat(digest)); // or pushed again
        if (back) co_return Result<void>{};
        co_return co_await blob_damage(digest, !stored.quarantined);
    }

    /// Blobs that a manifest names and nobody has: deleted by hand, most likely.
    net::Async<Result<void>> needs() {
        CONSIGN_CO_TRY(missing, co_await core_.database->read([](store::Connection& c) {
            return metadata::unlinked_needs(c, ScrubReport::kListed);
        }));
        for (const auto& digest : missing) CONSIGN_CO_CHECK(co_await blob_damage(digest, true));
        co_return Result<void>{};
    }

    net::Async<Result<void>> manifests() {
        metadata::ManifestName after;
        for (;;) {
            CONSIGN_CO_TRY(step, co_await core_.database->read([=](store::Connection& c) {
                return metadata::manifests_after(c, after, kStep);
            }));
            if (step.empty()) co_return Result<void>{};
            after = step.back();
            if (co_await net::cancelled()) co_return fail(Code::cancelled, "the scrub was stopped");
            for (const auto& one : step) CONSIGN_CO_CHECK(co_await manifest(one));
        }
    }

    net::Async<Result<void>> manifest(metadata::ManifestName name) {
        const auto found =
            co_await core_.fetch_manifest(name.repository, TagOrDigest{.tag = {}, .digest = name.digest});
        if (!found && found.error().code == Code::not_found) co_return Result<void>{}; // deleted meanwhile
        if (!found && found.error().code != Code::corrupt) co_return std::unexpected(found.error());
        ++report_.manifests;
        if (found) {
            co_await spend(found->body.size());
            co_return Result<void>{};
        }
        CONSIGN_CO_TRY(referrer, co_await core_.database->read([name](store::Connection& c) {
            return metadata::manifest_referrer(c, name.repository, name.digest);
        }));
        add({.kind = Damage::Kind::manifest,
             .digest = name.digest,
             .missing = false,
             .referrers = {referrer}});
        co_return Result<void>{};
    }

    net::Async<Result<void>> blob_damage(Digest digest, bool missing) {
        CONSIGN_CO_TRY(referrers, co_await core_.database->read([digest](store::Connection& c) {
            return metadata::blob_referrers(c, digest);
        }));
        add({.kind = Damage::Kind::blob,
             .digest = digest,
             .missing = missing,
             .referrers = std::move(referrers)});
        co_return Result<void>{};
    }

    void add(Damage damage) {
        ++(damage.missing ? report_.missing : report_.damaged);
        if (report_.damages.size() < ScrubReport::kListed) report_.damages.push_back(std::move(damage));
        if (options_.on_progress) options_.on_progress(report_);
    }

    /// Waits until the rate allows what was read.
    net::Async<void> spend(std::size_t bytes) {
        report_.bytes += bytes;
        if (options_.on_progress) options_.on_progress(report_);
        if (options_.bytes_per_second == 0) co_return;
        const auto due = std::chrono::duration<double>(static_cast<double>(report_.bytes) /
                                                       static_cast<double>(options_.bytes_per_second));
        co_await net::sleep_until(started_ + std::chrono::duration_cast<std::chrono::nanoseconds>(due));
    }

    RegistryCore& core_;
    const ScrubOptions options_;
    const net::SteadyTime started_;
    ScrubReport report_;
};

} // namespace

net::Async<Result<ScrubReport>> scrub_all(RegistryCore& core, ScrubOptions options) {
    Scrub scrub(core, std::move(options));
    co_return co_await scrub.run();
}

} // namespace consign::oci
