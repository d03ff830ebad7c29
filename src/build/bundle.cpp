// A bundle is its source directory, packed. The artifact is made in an OCI layout in the scratch directory
// and then copied: a push that breaks is repeated without packing again, and building is the same code as
// every other copy.
#include "build/builder.hpp"
#include "build/patience.hpp"
#include "consign/artifact/component.hpp"
#include "consign/oci/copy.hpp"
#include "consign/oci/layout.hpp"
#include <format>

namespace consign::build {
namespace {

constexpr auto kProgressEvery = std::chrono::seconds(5);

std::string size_text(std::uint64_t bytes) {
    constexpr double kMiB = 1024.0 * 1024.0;
    return bytes < 1024 * 1024 ? std::format("{} KiB", (bytes + 1023) / 1024)
                               : std::format("{:.1f} MiB", double(bytes) / kMiB);
}

/// A line now and then, so that a long push is not mistaken for one that hangs.
class Progress {
  public:
    explicit Progress(std::function<void(std::string_view)> log) : log_(std::move(log)) {}
    void operator()(const oci::CopyProgress& progress) {
        const auto now = std::chrono::steady_clock::now();
        if (now - last_ < kProgressEvery) return;
        last_ = now;
        log_(std::format("pushed {} of {}\n", size_text(progress.bytes_done + progress.bytes_skipped),
                         size_text(progress.bytes_total)));
    }

  private:
    std::function<void(std::string_view)> log_;
    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

/// What makes the artifact this component's, and nothing that differs between two builds of the same source.
json::Value config_of(const BuildContext& context) {
    return {{"app", context.app}, {"component", json::encode(context.component)}};
}

net::Async<Result<oci::Descriptor>> push(BuildContext& context, oci::Repository& layout,
                                         artifact::PackedLayer layer, oci::RemoteOptions remote) {
    const std::string type(json::name_of(context.component.type));
    CONSIGN_CO_TRY(made, co_await artifact::push_component(layout, context.io.blocking(), type,
                                                           config_of(context), std::move(layer), ""));
    const auto target = oci::open_remote(context.http, std::move(remote), context.repository);
    oci::TagOrDigest which;
    which.digest = made.digest;
    oci::CopyOptions options;
    options.on_progress = Progress(context.log);
    co_return co_await oci::copy(layout, std::move(which), *target, "", std::move(options));
}

class BundleBuilder final : public Builder {
  public:
    Result<protocol::BuildResult> build(BuildContext& context) override {
        context.step("pack");
        CONSIGN_TRY(layer,
                    artifact::pack_directory(context.source.directory, context.scratch / "layer.tar.zst",
                                             {.mtime_s = context.source.mtime_s, .stop = context.stop}));
        context.log(std::format("packed {} entries, {}, {} compressed\n", layer.entries,
                                size_text(layer.tar_size), size_text(layer.size)));
        if (context.stop.stop_requested()) return fail(Code::cancelled, "the build was stopped");

        context.step("push");
        CONSIGN_TRY(layout, oci::open_layout(context.scratch / "layout", context.io.blocking()));
        CONSIGN_TRY(
            pushed,
            patiently<oci::Descriptor>("push", context.log, context.stop, [&]() -> Result<oci::Descriptor> {
                CONSIGN_TRY(password, context.password());
                oci::RemoteOptions remote{.registry = context.registry,
                                          .username = context.username,
                                          .password = Secret<std::string>(password)};
                return context.io.run(push(context, *layout, layer, std::move(remote)), context.stop);
            }));
        context.log(std::format("pushed {}@{}\n", context.repository, pushed.digest.str()));
        return protocol::BuildResult{
            .digest = pushed.digest,
            .media_type = artifact::artifact_type(json::name_of(context.component.type)),
            .size = layer.size,
            // A directory has no version of its own: its packed bytes do.
            .source_version = context.source.version.empty() ? layer.digest.str() : context.source.version};
    }
};

} // namespace

std::unique_ptr<Builder> make_bundle_builder() { return std::make_unique<BundleBuilder>(); }

} // namespace consign::build
