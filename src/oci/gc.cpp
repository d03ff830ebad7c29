// Garbage collection beside running pushes, deletes and mounts, with no lock but the database's writer.
//
// A manifest or link goes in a transaction that looks again at everything that could keep it; whatever a push
// does in between (a tag, an index, a touch) is therefore seen. Manifests go parents first and subjects
// before what refers to them, each only when nothing refers to it any more: a kill in between leaves garbage,
// never a dangling reference.
//
// A file must never be missed by a link that is on disk. So it goes in two transactions: the first marks the
// blob as doomed while it has no link (a link that comes later takes the mark off again), and once that is on
// disk the second renames the file away and deletes the row. Uploads and mounts hold a pin on the blob from
// before they look for the file or make it until their link is committed; a pinned file stays.
#include "consign/base/log.hpp"
#include "metadata_upkeep.hpp"
#include "registry_core.hpp"

namespace consign::oci {

namespace {

constexpr std::size_t kStep = 32; // per transaction: a millisecond or two of the writer
constexpr std::size_t kAll = 1u << 30;

using metadata::Sized;

class Collection {
  public:
    Collection(RegistryCore& core, GcOptions options)
        : core_(core), options_(std::move(options)), touched_before_(core.clock.now() - options_.grace) {}

    net::Async<Result<GcReport>> run() {
        GcRoots roots;
        if (options_.roots) {
            CONSIGN_CO_TRY(found, co_await options_.roots());
            roots = std::move(found);
        }
        CONSIGN_CO_TRY(repositories, co_await core_.database->read([](store::Connection& c) {
            return metadata::repositories(c, "", kAll);
        }));
        for (const auto& repository : repositories.items)
            CONSIGN_CO_CHECK(co_await repository_garbage(repository, roots[repository]));
        CONSIGN_CO_CHECK(co_await files());
        CONSIGN_CO_CHECK(co_await nameless_files());
        if (!options_.dry_run) {
            CONSIGN_CO_CHECK(co_await core_.blobs->purge());
            CONSIGN_CO_TRY(expired, co_await core_.blobs->expire_uploads(core_.options.uploads_expire));
            report_.uploads_removed = expired;
        }
        CONSIGN_CO_TRY(
            left, co_await core_.database->read([](store::Connection& c) { return metadata::counts(c); }));
        const auto kept = [this](std::uint64_t there, std::uint64_t removed) {
            return options_.dry_run ? there - std::min(there, removed) : there;
        };
        report_.manifests_kept = kept(left.manifests, report_.manifests_removed);
        report_.links_kept = kept(left.links, report_.links_removed);
        report_.files_kept = kept(left.blobs, report_.files_removed - nameless_);
        co_return report_;
    }

  private:
    net::Async<Result<void>> repository_garbage(std::string repository, std::set<Digest> roots) {
        CONSIGN_CO_TRY(dead,
                       co_await core_.database->read([=, before = touched_before_](store::Connection& c) {
                           return metadata::dead_manifests(c, repository, before, roots);
                       }));
        std::set<Digest> dying;
        if (options_.dry_run) {
            for (const auto& one : dead) {
                dying.insert(one.digest);
                manifest_gone(repository, one);
            }
        } else {
            CONSIGN_CO_CHECK(co_await manifests(repository, std::move(dead)));
        }
        CONSIGN_CO_TRY(unneeded,
                       co_await core_.database->read([=, before = touched_before_](store::Connection& c) {
                           return metadata::dead_links(c, repository, before, dying);
                       }));
        co_return co_await links(repository, std::move(unneeded));
    }

    net::Async<Result<void>> manifests(std::string repository, std::vector<Sized> dead) {
        for (bool some = true; some && !dead.empty();) { // until what is left is kept by something new
            some = false;
            std::vector<Sized> left;
            for (std::size_t at = 0; at < dead.size(); at += kStep) {
                CONSIGN_CO_CHECK(co_await not_stopped());
                const std::vector<Sized> step(
                    dead.begin() + static_cast<std::ptrdiff_t>(at),
                    dead.begin() + static_cast<std::ptrdiff_t>(std::min(at + kStep, dead.size())));
                CONSIGN_CO_TRY(gone, co_await core_.database->write([=, before = touched_before_](
                                                                        store::Transaction& tx) {
                    return each(step, [&](const Sized& one) {
                        return metadata::collect_manifest(tx, repository, one.digest, before);
                    });
                }));
                for (std::size_t i = 0; i < step.size(); ++i) {
                    if (gone[i])
                        manifest_gone(repository, step[i]);
                    else
                        left.push_back(step[i]);
                    some = some || gone[i];
                }
                progress();
            }
            dead = std::move(left);
        }
        co_return Result<void>{};
    }

    net::Async<Result<void>> links(std::string repository, std::vector<Sized> unneeded) {
        for (std::size_t at = 0; at < unneeded.size(); at += kStep) {
            CONSIGN_CO_CHECK(co_await not_stopped());
            const std::vector<Sized> step(
                unneeded.begin() + static_cast<std::ptrdiff_t>(at),
                unneeded.begin() + static_cast<std::ptrdiff_t>(std::min(at + kStep, unneeded.size())));
            std::vector<bool> gone(step.size(), true);
            if (!options_.dry_run) {
                CONSIGN_CO_TRY(done, co_await core_.database->write([=, before = touched_before_](
                                                                        store::Transaction& tx) {
                    return each(step, [&](const Sized& one) {
                        return metadata::collect_link(tx, repository, one.digest, before);
                    });
                }));
                gone = std::move(done);
            }
            for (std::size_t i = 0; i < step.size(); ++i) {
                if (!gone[i]) continue;
                ++report_.links_removed;
                item(GcItem::Kind::link, repository, step[i]);
                if (options_.dry_run) ++links_to_go_[step[i].digest];
            }
            progress();
        }
        co_return Result<void>{};
    }

    net::Async<Result<void>> files() {
        std::string after;
        for (;;) {
            CONSIGN_CO_CHECK(co_await not_stopped());
            CONSIGN_CO_TRY(step, co_await core_.database->read([=](store::Connection& c) {
                return metadata::unlinked_blobs(c, after, kStep);
            }));
            if (step.empty()) break;
            after = step.back().digest.str();
            CONSIGN_CO_CHECK(co_await remove_files(step));
        }
        if (options_.dry_run) co_return co_await files_of_links_to_go();
        co_return Result<void>{};
    }

    net::Async<Result<void>> remove_files(std::vector<Sized> step) {
        std::vector<bool> gone(step.size(), true);
        if (!options_.dry_run) {
            CONSIGN_CO_CHECK(co_await core_.database->write([=](store::Transaction& tx) {
                return each(step, [&](const Sized& one) { return metadata::doom_blob(tx, one.digest); });
            }));
            CONSIGN_CO_TRY(done,
                           co_await core_.database->write([=, &blobs = *core_.blobs](store::Transaction& tx) {
                               return each(step, [&](const Sized& one) -> Result<bool> {
                                   CONSIGN_TRY(doomed, metadata::is_doomed(tx, one.digest));
                                   if (!doomed) return false;
                                   CONSIGN_TRY(taken, blobs.discard(one.digest));
                                   if (taken) CONSIGN_CHECK(metadata::forget_blob(tx, one.digest));
                                   return taken;
                               });
                           }));
            gone = std::move(done);
            CONSIGN_CO_CHECK(co_await core_.blobs->purge());
        }
        for (std::size_t i = 0; i < step.size(); ++i)
            if (gone[i]) file_gone(step[i]);
        progress();
        co_return Result<void>{};
    }

    /// Of a dry run: a file goes when all links to it would.
    net::Async<Result<void>> files_of_links_to_go() {
        for (const auto& [digest, going] : links_to_go_) {
            CONSIGN_CO_TRY(links, co_await core_.database->read([digest](store::Connection& c) {
                return metadata::link_count(c, digest);
            }));
            if (links != going) continue;
            const auto stat = co_await core_.blobs->stat(digest);
            file_gone({digest, stat && *stat ? (*stat)->size : 0});
        }
        co_return Result<void>{};
    }

    /// Files that no row knows: a crash came between their rename and their link.
    net::Async<Result<void>> nameless_files() {
        for (unsigned shard = 0; shard < BlobStore::kShards; ++shard) {
            CONSIGN_CO_CHECK(co_await not_stopped());
            CONSIGN_CO_TRY(listed, co_await core_.blobs->list(shard));
            std::vector<Sized> old;
            for (auto& one : listed)
                if (one.modified < touched_before_) old.push_back({std::move(one.digest), one.size});
            if (old.empty()) continue;
            CONSIGN_CO_TRY(nameless, co_await core_.database->read([=](store::Connection& c) {
                return each(old, [&](const Sized& one) -> Result<bool> {
                    CONSIGN_TRY(known, metadata::has_blob_row(c, one.digest));
                    return !known;
                });
            }));
            std::vector<Sized> found;
            for (std::size_t i = 0; i < old.size(); ++i)
                if (nameless[i]) found.push_back(old[i]);
            for (std::size_t at = 0; at < found.size(); at += kStep)
                CONSIGN_CO_CHECK(co_await remove_nameless(
                    {found.begin() + static_cast<std::ptrdiff_t>(at),
                     found.begin() + static_cast<std::ptrdiff_t>(std::min(at + kStep, found.size()))}));
        }
        co_return Result<void>{};
    }

    net::Async<Result<void>> remove_nameless(std::vector<Sized> step) {
        std::vector<bool> gone(step.size(), true);
        if (!options_.dry_run) {
            CONSIGN_CO_TRY(done,
                           co_await core_.database->write([=, &blobs = *core_.blobs](store::Transaction& tx) {
                               return each(step, [&](const Sized& one) -> Result<bool> {
                                   CONSIGN_TRY(known, metadata::has_blob_row(tx, one.digest));
                                   if (known) return false;
                                   return blobs.discard(one.digest);
                               });
                           }));
            gone = std::move(done);
        }
        for (std::size_t i = 0; i < step.size(); ++i) {
            if (!gone[i]) continue;
            file_gone(step[i]);
            ++nameless_;
        }
        progress();
        co_return Result<void>{};
    }

    template <class F>
    static Result<std::vector<bool>> each(const std::vector<Sized>& step, F done) {
        std::vector<bool> out;
        out.reserve(step.size());
        for (const auto& one : step) {
            CONSIGN_TRY(gone, done(one));
            out.push_back(gone);
        }
        return out;
    }
    static net::Async<Result<void>> not_stopped() {
        if (co_await net::cancelled()) co_return fail(Code::cancelled, "the collection was stopped");
        co_return Result<void>{};
    }
    void item(GcItem::Kind kind, const std::string& repository, const Sized& one) {
        if (report_.items.size() < GcReport::kListed)
            report_.items.push_back({kind, repository, one.digest, one.bytes});
    }
    void manifest_gone(const std::string& repository, const Sized& one) {
        ++report_.manifests_removed;
        report_.bytes_freed += one.bytes;
        item(GcItem::Kind::manifest, repository, one);
    }
    void file_gone(const Sized& one) {
        ++report_.files_removed;
        report_.bytes_freed += one.bytes;
        item(GcItem::Kind::file, {}, one);
    }
    void progress() const {
        if (options_.on_progress) options_.on_progress(report_);
    }

    RegistryCore& core_;
    const GcOptions options_;
    const Time touched_before_;
    GcReport report_;
    std::uint64_t nameless_ = 0;
    std::map<Digest, std::uint64_t> links_to_go_; // of a dry run
};

} // namespace

net::Async<Result<GcReport>> collect_garbage(RegistryCore& core, GcOptions options) {
    Collection collection(core, std::move(options));
    co_return co_await collection.run();
}

} // namespace consign::oci
