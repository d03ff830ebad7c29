#include "consign/artifact/component.hpp"
#include "artifact/blob_io.hpp"
#include <algorithm>
#include <fcntl.h>
#include <format>
#include <unistd.h>

namespace consign::artifact {
namespace {

constexpr std::string_view kTypePrefix = "application/vnd.consign.", kTypeSuffix = ".v1";
constexpr std::string_view kConfigType = "application/vnd.consign.component.config.v1+json";
constexpr std::size_t kConfigLimitBytes = 4u << 20;
constexpr std::size_t kPiece = 256u << 10;

/// The inverse of artifact_type(); empty if it is not one.
std::string component_type_of(std::string_view type) {
    if (!type.starts_with(kTypePrefix) || !type.ends_with(kTypeSuffix) ||
        type.size() <= kTypePrefix.size() + kTypeSuffix.size())
        return {};
    const auto inner = type.substr(kTypePrefix.size(), type.size() - kTypePrefix.size() - kTypeSuffix.size());
    const bool plain = std::ranges::all_of(inner, [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
    return plain ? std::string(inner) : std::string();
}

net::Async<Result<void>> push_missing(oci::Repository& target, oci::Descriptor blob, net::Source& content) {
    CONSIGN_CO_TRY(there, co_await target.has_blob(blob));
    if (there) co_return Result<void>{};
    co_return co_await target.push_blob(blob, content);
}

/// The file a download goes to; gone again unless it was kept.
class PartialFile {
  public:
    PartialFile(std::filesystem::path file, Fd fd) : file_(std::move(file)), fd_(std::move(fd)) {}
    PartialFile(PartialFile&&) = default;
    ~PartialFile() {
        if (fd_) ::unlink(partial(file_).c_str());
    }
    static std::filesystem::path partial(const std::filesystem::path& file) {
        return file.native() + ".partial";
    }
    static Result<PartialFile> create(const std::filesystem::path& file) {
        CONSIGN_TRY(fd, open_file(partial(file), O_WRONLY | O_CREAT | O_TRUNC));
        return PartialFile(file, std::move(fd));
    }
    Result<void> write(ByteView bytes) { return write_all(fd_.get(), bytes, partial(file_)); }
    Result<void> keep() {
        if (::fsync(fd_.get()) != 0)
            return fail_errno("cannot write '" + partial(file_).native() + "'", errno);
        if (::rename(partial(file_).c_str(), file_.c_str()) != 0)
            return fail_errno("cannot make '" + file_.native() + "'", errno);
        fd_.reset();
        return fsync_directory(file_.has_parent_path() ? file_.parent_path() : ".");
    }

  private:
    std::filesystem::path file_;
    Fd fd_;
};

} // namespace

std::string artifact_type(std::string_view component_type) {
    return std::format("{}{}{}", kTypePrefix, component_type, kTypeSuffix);
}

net::Async<Result<oci::Descriptor>> push_component(oci::Repository& target, net::BlockingPool& pool,
                                                   std::string component_type, json::Value config,
                                                   PackedLayer layer, std::string tag) {
    auto text = json::dump(config);
    if (text.size() > kConfigLimitBytes)
        co_return fail(Code::too_large, std::format("the component's config has {} bytes, more than {}",
                                                    text.size(), kConfigLimitBytes));
    CONSIGN_CO_TRY(file, co_await pool.run([path = layer.file] { return open_file(path, O_RDONLY); }));
    const oci::Descriptor layer_blob{
        .media_type = std::string(oci::media::kLayerTarZstd), .digest = layer.digest, .size = layer.size};
    FileSource layer_content(std::move(file), pool);
    CONSIGN_CO_CHECK(co_await push_missing(target, layer_blob, layer_content));

    const oci::Descriptor config_blob{
        .media_type = std::string(kConfigType), .digest = Digest::sha256_of(text), .size = text.size()};
    TextSource config_content(std::move(text));
    CONSIGN_CO_CHECK(co_await push_missing(target, config_blob, config_content));

    const auto manifest = oci::make_manifest(artifact_type(component_type), config_blob, {layer_blob});
    CONSIGN_CO_CHECK(co_await target.put_manifest(manifest, std::move(tag)));
    co_return manifest.descriptor;
}

net::Async<Result<ComponentManifest>> read_component(oci::Repository& source, Digest digest) {
    const auto not_ours = [&](std::string_view why) {
        return fail(Code::corrupt, std::format("{} in {} is not a component artifact: {}", digest.str(),
                                               source.describe(), why));
    };
    oci::TagOrDigest which;
    which.digest = digest;
    CONSIGN_CO_TRY(bytes, co_await source.fetch_manifest(which));
    const auto manifest = oci::Manifest::parse(bytes.body, bytes.descriptor.media_type);
    if (!manifest) co_return not_ours(manifest.error().message);
    ComponentManifest out;
    out.component_type = component_type_of(manifest->artifact_type.value_or(""));
    if (out.component_type.empty())
        co_return not_ours("its artifactType is " + manifest->artifact_type.value_or("missing"));
    if (!manifest->config || manifest->config->media_type != kConfigType)
        co_return not_ours("its config is of another type");
    if (manifest->config->size > kConfigLimitBytes) co_return not_ours("its config is too large");
    if (manifest->layers.size() != 1 || manifest->layers[0].media_type != oci::media::kLayerTarZstd)
        co_return not_ours("it does not have one tar+zstd layer");
    out.layer = manifest->layers[0];

    CONSIGN_CO_TRY(content, co_await source.fetch_blob(*manifest->config));
    CONSIGN_CO_TRY(text, co_await net::read_all(*content, kConfigLimitBytes));
    if (text.size() != manifest->config->size || Digest::sha256_of(text) != manifest->config->digest)
        co_return not_ours("its config is not what its digest says");
    auto config = json::parse(text);
    if (!config) co_return not_ours("its config is not JSON");
    out.config = std::move(*config);
    co_return out;
}

net::Async<Result<void>> download_blob(oci::Repository& source, oci::Descriptor blob,
                                       std::filesystem::path file, net::BlockingPool& pool) {
    CONSIGN_CO_TRY(content, co_await source.fetch_blob(blob));
    CONSIGN_CO_TRY(partial, co_await pool.run([file] { return PartialFile::create(file); }));
    const auto damaged = [&](std::string_view why) {
        return fail(Code::corrupt, std::format("{} from {} {}", blob.digest.str(), source.describe(), why),
                    "fetch it again");
    };
    Hasher hasher(blob.digest.algorithm());
    Bytes buffer(kPiece);
    for (std::uint64_t have = 0;;) {
        CONSIGN_CO_TRY(count, co_await content->read(buffer));
        if (count == 0) {
            if (have != blob.size)
                co_return damaged(std::format("has {} bytes instead of {}", have, blob.size));
            break;
        }
        have += count;
        if (have > blob.size) co_return damaged(std::format("has more than its {} bytes", blob.size));
        const auto piece = ByteView(buffer).first(count);
        // References stay good: run() resumes this coroutine only when the work is done.
        CONSIGN_CO_CHECK(co_await pool.run([&partial, &hasher, piece] {
            hasher.update(piece);
            return partial.write(piece);
        }));
    }
    if (hasher.finish() != blob.digest) co_return damaged("is not what its digest says");
    co_return co_await pool.run([&partial] { return partial.keep(); });
}

} // namespace consign::artifact
