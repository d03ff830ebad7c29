#include "registry_runs.hpp"
#include "consign/base/log.hpp"
#include "consign/protocol/naming.hpp"

namespace consign::ims {
namespace {

using protocol::RegistryRunState;

std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }

void take(protocol::RegistryGcReport& to, const oci::GcReport& from) {
    to.manifests_kept = number(from.manifests_kept);
    to.manifests_removed = number(from.manifests_removed);
    to.links_kept = number(from.links_kept);
    to.links_removed = number(from.links_removed);
    to.files_kept = number(from.files_kept);
    to.files_removed = number(from.files_removed);
    to.bytes_freed = number(from.bytes_freed);
    to.uploads_removed = number(from.uploads_removed);
    for (std::size_t i = to.items.size(); i < from.items.size(); ++i) { // only ever longer
        const auto& item = from.items[i];
        const std::string_view kind = item.kind == oci::GcItem::Kind::manifest ? "manifest"
                                      : item.kind == oci::GcItem::Kind::link   ? "link"
                                                                               : "file";
        to.items.push_back({.kind = std::string(kind),
                            .repository = item.repository,
                            .digest = item.digest,
                            .bytes = number(item.bytes)});
    }
}

void take(protocol::RegistryScrubReport& to, const oci::ScrubReport& from) {
    to.blobs = number(from.blobs);
    to.manifests = number(from.manifests);
    to.bytes = number(from.bytes);
    to.bytes_total = number(from.bytes_total);
    to.damaged = number(from.damaged);
    to.missing = number(from.missing);
    for (std::size_t i = to.damages.size(); i < from.damages.size(); ++i) {
        const auto& damage = from.damages[i];
        protocol::RegistryDamage told{.kind = damage.kind == oci::Damage::Kind::blob ? "blob" : "manifest",
                                      .digest = damage.digest,
                                      .what = damage.missing ? "missing" : "damaged"};
        for (const auto& one : damage.referrers)
            told.referrers.push_back(
                {.repository = one.repository, .manifest = one.manifest, .tags = one.tags});
        to.damages.push_back(std::move(told));
    }
}

net::Async<Result<oci::GcRoots>> read_roots(store::Database& jobs) {
    return jobs.read([](store::Connection& c) { return registry_roots(c); });
}

} // namespace

Result<oci::GcRoots> registry_roots(store::Connection& c) {
    oci::GcRoots roots;
    const auto add = [&](std::string repository, std::string_view text) {
        if (auto digest = Digest::parse(text)) roots[std::move(repository)].insert(std::move(*digest));
    };
    for (const std::string_view sql :
         {"SELECT repository, digest FROM builds WHERE digest IS NOT NULL",
          "SELECT source_repository, source_digest FROM builds WHERE source_digest IS NOT NULL"})
        CONSIGN_CHECK(c.query(sql, {}, [&](const store::Row& row) {
            add(row.string(0), row.text(1));
            return true;
        }));
    CONSIGN_CHECK(c.query("SELECT i.app, x.component, x.digest FROM install_components x JOIN installs i ON "
                          "i.id = x.install WHERE x.digest IS NOT NULL",
                          {}, [&](const store::Row& row) {
                              add(protocol::artifact_repository(row.text(0), row.text(1)), row.text(2));
                              return true;
                          }));
    Result<void> decoded;
    CONSIGN_CHECK(c.query("SELECT components FROM releases", {}, [&](const store::Row& row) {
        auto components = json::decode_text<std::vector<protocol::ReleaseComponent>>(row.text(0));
        if (!components) decoded = std::unexpected(with_context(components.error(), "a release"));
        if (!decoded) return false; // rather collect nothing than too much
        for (const auto& one : *components) roots[one.artifact.repository].insert(one.artifact.digest);
        return true;
    }));
    CONSIGN_CHECK(std::move(decoded));
    return roots;
}

RegistryRuns::RegistryRuns(oci::Registry& registry, store::Database& jobs, const Clock& clock)
    : registry_(registry), jobs_(jobs), clock_(clock) {}

RegistryRuns::~RegistryRuns() {
    gc_.thread.request_stop();
    scrub_.thread.request_stop();
}

/// `start(io, stop, on_progress)` runs it to its end, on the thread of the run.
template <class Report, class Start>
Result<void> RegistryRuns::begin(Run<Report>& run, Report first, Start start) {
    const std::lock_guard lock(run.mutex);
    if (run.report && run.report->state == RegistryRunState::running)
        return fail(Code::conflict, "such a run is on already, since " + to_rfc3339(run.report->started_at),
                    "wait for it");
    first.started_at = clock_.now();
    run.report = std::move(first);
    // The last one has ended; what is left of its thread is its return.
    run.thread = std::jthread([this, &run, start = std::move(start)](std::stop_token stop) {
        net::IoThread io;
        const auto result = start(io, stop, [&run](const auto& now) {
            const std::lock_guard held(run.mutex);
            take(*run.report, now);
        });
        {
            const std::lock_guard held(run.mutex);
            if (result) take(*run.report, *result);
            run.report->state = result ? RegistryRunState::done : RegistryRunState::failed;
            if (!result) run.report->error = to_string(result.error());
            run.report->finished_at = clock_.now();
        }
        if (!result && result.error().code != Code::cancelled)
            log::error("upkeep of the registry failed", {{"error", to_string(result.error())}});
        ended_.notify();
    });
    return {};
}

Result<void> RegistryRuns::start(const protocol::RegistryGcRequest& request) {
    constexpr std::int64_t kLongestGraceS = 10LL * 366 * 86'400;
    if (request.grace_s < 0 || request.grace_s > kLongestGraceS)
        return fail(Code::invalid_argument, std::format("grace_s is 0 to {}", kLongestGraceS));
    return begin(gc_, protocol::RegistryGcReport{.dry_run = request.dry_run, .grace_s = request.grace_s},
                 [this, request](net::IoThread& io, const std::stop_token& stop, auto progress) {
                     oci::GcOptions options{.dry_run = request.dry_run,
                                            .grace = std::chrono::seconds(request.grace_s),
                                            .roots = [this] { return read_roots(jobs_); },
                                            .on_progress = progress};
                     return io.run(registry_.gc(std::move(options)), stop);
                 });
}

Result<void> RegistryRuns::start(const protocol::RegistryScrubRequest& request) {
    if (request.mib_per_s < 1 || request.mib_per_s > 10'000)
        return fail(Code::invalid_argument, "mib_per_s is 1 to 10000");
    return begin(scrub_, protocol::RegistryScrubReport{},
                 [this, request](net::IoThread& io, const std::stop_token& stop, auto progress) {
                     oci::ScrubOptions options{.bytes_per_second =
                                                   static_cast<std::uint64_t>(request.mib_per_s) << 20,
                                               .on_progress = progress};
                     return io.run(registry_.scrub(std::move(options)), stop);
                 });
}

template <class Report, class Given>
Result<Report> RegistryRuns::told(const Run<Report>& run, Given what) {
    const std::lock_guard lock(run.mutex);
    if (!run.report)
        return fail(Code::not_found, std::format("there was no {} since the server's start", what));
    return *run.report;
}

Result<protocol::RegistryGcReport> RegistryRuns::gc() const {
    return told(gc_, "collection of the registry's garbage");
}
Result<protocol::RegistryScrubReport> RegistryRuns::scrub() const {
    return told(scrub_, "scrub of the registry");
}

} // namespace consign::ims
