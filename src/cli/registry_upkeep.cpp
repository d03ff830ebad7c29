#include "cli/registry_upkeep.hpp"
#include "cli/exit_code.hpp"
#include "cli/interrupt.hpp"
#include "consign/protocol/registry_api.hpp"
#include <format>

namespace consign::cli {
namespace {

using namespace protocol;

constexpr int kWait = 20; // seconds that the IMS parks one question; below proxies' 60

std::uint64_t bytes(std::int64_t count) { return count < 0 ? 0 : static_cast<std::uint64_t>(count); }

/// Starts the run and asks until it has ended. Ctrl-C stops the asking, not the run.
template <class Report, class Request>
Result<Report> run_to_end(Context& context, std::string_view path, const Request& request,
                          const std::function<std::string(const Report&)>& line) {
    const auto asking = std::format("{}?wait={}", path, kWait);
    CONSIGN_TRY(started, context.call<Report>(net::Verb::post, asking, request));
    auto report = std::move(started);
    const Interrupt interrupt;
    while (report.state == RegistryRunState::running) {
        if (interrupt.requested())
            return fail(Code::cancelled, "interrupted; the IMS goes on",
                        "the same command later tells that it runs");
        if (context.console().err_terminal) context.note(line(report));
        CONSIGN_TRY(now, context.get<Report>(asking, {}, interrupt.token()));
        report = std::move(now);
    }
    return report;
}

Result<int> gc(Context& context, const UpkeepFlags& flags) {
    const RegistryGcRequest request{.dry_run = flags.dry_run, .grace_s = flags.grace.count()};
    CONSIGN_TRY(report, run_to_end<RegistryGcReport>(
                            context, kRegistryGcPath, request, [](const RegistryGcReport& now) {
                                return std::format("{} files removed so far, {}", now.files_removed,
                                                   human_size(bytes(now.bytes_freed)));
                            }));
    if (context.json()) {
        context.print_json(report);
    } else {
        const std::string would = report.dry_run ? "would go" : "gone";
        Details details;
        details
            .add("manifests",
                 std::format("{} {}, {} stay", report.manifests_removed, would, report.manifests_kept))
            .add("blobs of repositories",
                 std::format("{} {}, {} stay", report.links_removed, would, report.links_kept))
            .add("files", std::format("{} {}, {} stay", report.files_removed, would, report.files_kept))
            .add("abandoned uploads", std::format("{} {}", report.uploads_removed, would))
            .add("freed", human_size(bytes(report.bytes_freed)));
        context.print(details);
        if (!report.items.empty()) {
            Table table({"KIND", "REPOSITORY", "DIGEST", "SIZE"});
            for (const auto& item : report.items)
                table.add({item.kind, item.repository, item.digest.str(), human_size(bytes(item.bytes))});
            context.print(table);
        }
    }
    if (report.state == RegistryRunState::failed)
        return fail(Code::failed, "the garbage collection failed: " + report.error);
    return kDone;
}

std::string needed_by(const RegistryDamage& damage) {
    std::string out;
    for (const auto& referrer : damage.referrers) {
        out += (out.empty() ? "" : ", ") + referrer.repository;
        for (const auto& tag : referrer.tags) out += ":" + tag;
    }
    return out.empty() ? "nobody" : out;
}

Result<int> scrub(Context& context, const UpkeepFlags& flags) {
    const RegistryScrubRequest request{.mib_per_s = flags.mib_per_s};
    CONSIGN_TRY(report, run_to_end<RegistryScrubReport>(
                            context, kRegistryScrubPath, request, [](const RegistryScrubReport& now) {
                                return std::format(
                                    "{} of {} read, {} damaged, {} missing", human_size(bytes(now.bytes)),
                                    human_size(bytes(now.bytes_total)), now.damaged, now.missing);
                            }));
    if (context.json()) {
        context.print_json(report);
    } else {
        context.note(std::format("read {} in {} blobs and {} manifests: {} damaged, {} missing",
                                 human_size(bytes(report.bytes)), report.blobs, report.manifests,
                                 report.damaged, report.missing));
        if (!report.damages.empty()) {
            Table table({"WHAT", "KIND", "DIGEST", "NEEDED BY"});
            for (const auto& damage : report.damages)
                table.add({damage.what, damage.kind, damage.digest.str(), needed_by(damage)});
            context.print(table);
        }
    }
    if (report.state == RegistryRunState::failed)
        return fail(Code::failed, "the scrub failed: " + report.error);
    return report.damaged + report.missing > 0 ? 1 : kDone;
}

} // namespace

CommandSpec gc_command(std::shared_ptr<void> owner, UpkeepFlags& flags) {
    return {.name = "gc",
            .summary = "Have the IMS's registry drop what nothing refers to",
            .examples = {"consign registry gc --dry-run", "consign registry gc --grace 7d"},
            .options = {toggle("--dry-run", "say what would go, remove nothing", flags.dry_run),
                        option("--grace", "TIME", "what is younger stays; default 1d", flags.grace)},
            .run = [owner, &flags](Context& context) { return gc(context, flags); }};
}

CommandSpec scrub_command(std::shared_ptr<void> owner, UpkeepFlags& flags) {
    return {.name = "scrub",
            .summary =
                "Have the IMS's registry read and check all it holds; exit code 1 when something is wrong",
            .examples = {"consign registry scrub --mib-per-s 200"},
            .options = {option("--mib-per-s", "N", "how fast it reads at most, 1 to 10000; default 64",
                               flags.mib_per_s, 1, 10'000)},
            .run = [owner, &flags](Context& context) { return scrub(context, flags); }};
}

} // namespace consign::cli
