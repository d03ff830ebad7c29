#include "cli/registry_copy.hpp"
#include "cli/exit_code.hpp"
#include "cli/interrupt.hpp"
#include "cli/transfer_progress.hpp"
#include "consign/oci/copy.hpp"
#include <algorithm>
#include <format>

namespace consign::cli {
namespace {

namespace fs = std::filesystem;

/// What -o json prints.
struct CopyReport {
    std::string source, target;
    Digest digest;
    std::string media_type;
    std::uint64_t bytes_copied = 0, bytes_skipped = 0;
    std::size_t blobs = 0;
    double seconds = 0;
    static constexpr auto fields(auto& self, auto&& f) {
        f("source", self.source);
        f("target", self.target);
        f("digest", self.digest);
        f("media_type", self.media_type);
        f("bytes_copied", self.bytes_copied);
        f("bytes_skipped", self.bytes_skipped);
        f("blobs", self.blobs);
        f("seconds", self.seconds);
    }
};

/// $XDG_STATE_HOME/consign/transfers, by default below ~/.local/state.
fs::path default_state_directory() {
    if (const char* state = std::getenv("XDG_STATE_HOME"); state && *state)
        return fs::path(state) / "consign/transfers";
    if (const char* home = std::getenv("HOME"); home && *home)
        return fs::path(home) / ".local/state/consign/transfers";
    return {};
}

net::Async<Result<oci::Descriptor>> run_copy(oci::Repository* source, oci::TagOrDigest which,
                                             oci::Repository* target, std::string tag,
                                             oci::ArchiveWriter* archive, oci::CopyOptions options) {
    CONSIGN_CO_TRY(
        root, co_await oci::copy(*source, std::move(which), *target, std::move(tag), std::move(options)));
    if (archive) CONSIGN_CO_CHECK(co_await archive->finish());
    co_return std::move(root);
}

/// The tag at the target when none was said: the source's; a layout lists nothing without one.
std::string tag_for(const Place& source, const Place& target) {
    if (!target.which.tag.empty()) return target.which.tag;
    if (!source.which.tag.empty()) return source.which.tag;
    return target.kind == Place::Kind::remote ? "" : "latest";
}

Result<void> check(const CopyFlags& flags, const Place& source, const Place& target) {
    if (target.which.digest)
        return fail(Code::invalid_argument, "the target '" + target.text + "' has a digest",
                    "its digest comes from what is copied: name a tag, or none");
    if (source.kind == Place::Kind::remote && !source.named())
        return fail(Code::invalid_argument, "'" + source.text + "' has neither a tag nor a digest",
                    "consign registry tags " + source.text + " lists the tags");
    if (flags.all_platforms && !flags.platforms.empty())
        return fail(Code::invalid_argument, "--platform and --all-platforms exclude each other");
    for (const auto& platform : flags.platforms) {
        const auto slashes = std::ranges::count(platform, '/');
        if (slashes < 1 || slashes > 2 || platform.starts_with('/') || platform.ends_with('/'))
            return fail(Code::invalid_argument, "'" + platform + "' is not a platform",
                        "write it like linux/amd64 or linux/arm/v7");
    }
    return {};
}

} // namespace

std::vector<OptionSpec> copy_options(CopyFlags& flags) {
    return {option("--jobs", "N", "blobs at a time, 1 to 64; default 6. Of small ones eight times as many",
                   flags.jobs, 1, 64),
            option("--platform", "OS/ARCH",
                   "of an index only this platform, as often as needed: one becomes the root, of "
                   "several a new index is made",
                   flags.platforms),
            toggle("--all-platforms", "all of an index, digest-exact; the default", flags.all_platforms),
            toggle("--no-referrers", "without signatures, provenance and what else refers to the image",
                   flags.no_referrers),
            option("--state-dir", "DIR",
                   "where interrupted blobs are remembered; default ~/.local/state/consign/transfers",
                   flags.state_directory),
            toggle("--no-resume", "begin every blob anew, remember none", flags.no_resume)};
}

Result<int> copy_image(Context& context, const CopyFlags& flags, Place source, Place target) {
    if (auto good = check(flags, source, target); !good) return context.usage(good.error());
    const bool both = source.kind == Place::Kind::remote && target.kind == Place::Kind::remote;
    // A connection for each blob under way, the small ones too (oci/copy.hpp).
    RegistryAccess access(context, static_cast<std::size_t>(flags.jobs) * 8);
    if (source.kind == Place::Kind::layout && !fs::exists(source.path / "oci-layout"))
        return fail(Code::not_found, source.path.string() + " is no OCI layout: it has no file oci-layout");
    CONSIGN_TRY(from, access.open(source, flags.source_reach, !both));
    std::unique_ptr<oci::Repository> to;
    oci::ArchiveWriter* archive = nullptr;
    if (target.kind == Place::Kind::archive) {
        CONSIGN_TRY(made, access.create_archive(target));
        archive = made.get();
        to = std::move(made);
    } else {
        CONSIGN_TRY(opened, access.open(target, flags.target_reach, !both));
        to = std::move(opened);
    }

    const auto tag = tag_for(source, target);
    const auto began = std::chrono::steady_clock::now();
    oci::CopyProgress last;
    Result<oci::Descriptor> copied;
    {
        TransferProgress progress(context.console(), source.text + " → " + target.text);
        oci::CopyOptions options{.parallel = static_cast<std::size_t>(flags.jobs),
                                 .on_progress = [&](const oci::CopyProgress& now) { progress.show(now); },
                                 .platforms = flags.platforms,
                                 .referrers = !flags.no_referrers};
        if (!flags.no_resume)
            options.state_directory =
                flags.state_directory.empty() ? default_state_directory() : flags.state_directory;
        const Interrupt interrupt;
        copied = access.run(run_copy(from.get(), source.which, to.get(), tag, archive, std::move(options)),
                            interrupt.token());
        last = progress.last();
    }
    if (!copied && copied.error().code == Code::cancelled)
        return fail(Code::cancelled, "interrupted", "the same command goes on where this one stopped");
    if (!copied) return std::unexpected(std::move(copied).error());

    const CopyReport report{
        .source = from->describe(),
        .target = to->describe() + (tag.empty() ? "@" + copied->digest.str() : ":" + tag),
        .digest = copied->digest,
        .media_type = copied->media_type,
        .bytes_copied = last.bytes_done,
        .bytes_skipped = last.bytes_skipped,
        .blobs = last.blobs_total,
        .seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count()};
    if (context.json()) {
        context.print_json(report);
        return kDone;
    }
    context.note(std::format("copied {} in {:.1f} s; {} were there already", human_size(report.bytes_copied),
                             report.seconds, human_size(report.bytes_skipped)));
    Details details;
    details.add("image", report.target).add("digest", report.digest.str()).add("type", report.media_type);
    context.print(details);
    return kDone;
}

} // namespace consign::cli
