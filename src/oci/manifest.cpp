#include "consign/oci/types.hpp"
#include <format>
#include <limits>

namespace consign::oci {

namespace {

std::unexpected<Error> invalid(std::string what) {
    return fail(Code::invalid_argument, "manifest: " + std::move(what));
}

/// "application/json; charset=utf-8" without its parameters.
std::string_view without_parameters(std::string_view media_type) {
    media_type = media_type.substr(0, media_type.find(';'));
    const auto last = media_type.find_last_not_of(" \t");
    return last == std::string_view::npos ? std::string_view{} : media_type.substr(0, last + 1);
}

bool is_index_type(std::string_view type) {
    return type == media::kImageIndex || type == media::kDockerManifestList;
}
bool is_image_type(std::string_view type) {
    return type == media::kImageManifest || type == media::kDockerManifest;
}

template <class T>
Result<void> read(const json::Value& in, const char* key, T& out) {
    const auto found = in.find(key);
    if (found == in.end()) return {};
    if (auto decoded = json::decode_into(out, *found, key, json::Unknown::skip); !decoded)
        return invalid(decoded.error().message);
    return {};
}

Result<std::string> media_type_of(const json::Value& in, std::string_view content_type) {
    std::optional<std::string> own;
    CONSIGN_CHECK(read(in, "mediaType", own));
    const auto given = without_parameters(content_type);
    if (own && !given.empty() && *own != given)
        return invalid(std::format("mediaType is '{}', the content type says '{}'", *own, given));
    if (own) return *own;
    if (!given.empty()) return std::string(given);
    // OCI manifests may leave it out; from a layout nothing else names it.
    return std::string(in.contains("manifests") ? media::kImageIndex : media::kImageManifest);
}

Result<void> check(const Descriptor& descriptor, std::string_view where) {
    if (descriptor.media_type.empty()) return invalid(std::format("{}.mediaType is empty", where));
    if (descriptor.size > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        return invalid(std::format("{}.size is out of range", where));
    return {};
}

Result<void> check_all(const Manifest& manifest) {
    if (manifest.config) CONSIGN_CHECK(check(*manifest.config, "config"));
    if (manifest.subject) CONSIGN_CHECK(check(*manifest.subject, "subject"));
    for (std::size_t i = 0; i < manifest.layers.size(); ++i)
        CONSIGN_CHECK(check(manifest.layers[i], std::format("layers[{}]", i)));
    for (std::size_t i = 0; i < manifest.manifests.size(); ++i)
        CONSIGN_CHECK(check(manifest.manifests[i], std::format("manifests[{}]", i)));
    return {};
}

json::Value encode(const Descriptor& descriptor) {
    auto out = json::encode(descriptor);
    if (descriptor.annotations.empty()) out.erase("annotations");
    return out;
}

} // namespace

bool Manifest::is_index() const { return is_index_type(media_type); }

std::vector<Descriptor> Manifest::blobs() const {
    std::vector<Descriptor> out;
    if (config) out.push_back(*config);
    out.insert(out.end(), layers.begin(), layers.end());
    return out;
}

Result<Manifest> Manifest::parse(std::string_view body, std::string_view content_type) {
    if (body.size() > kManifestLimitBytes)
        return fail(Code::too_large, std::format("manifest: {} bytes, at most {} are taken", body.size(),
                                                 kManifestLimitBytes));
    auto parsed = json::parse(body);
    if (!parsed) return invalid(parsed.error().message);
    const auto& in = *parsed;
    if (!in.is_object()) return invalid("expected an object");

    std::optional<int> schema;
    CONSIGN_CHECK(read(in, "schemaVersion", schema));
    if (schema != 2) return invalid("schemaVersion must be 2");

    Manifest out;
    CONSIGN_TRY(media_type, media_type_of(in, content_type));
    out.media_type = media_type;
    const bool index = is_index_type(media_type);
    if (!index && !is_image_type(media_type))
        return invalid(std::format("mediaType '{}' is not supported", media_type));
    // One body must not be read as an index by some and as an image by others (CVE-2021-41190).
    for (const char* foreign : index ? std::initializer_list<const char*>{"config", "layers"}
                                     : std::initializer_list<const char*>{"manifests"})
        if (in.contains(foreign))
            return invalid(std::format("'{}' does not belong into {}", foreign, media_type));
    for (const char* required : index ? std::initializer_list<const char*>{"manifests"}
                                      : std::initializer_list<const char*>{"config", "layers"})
        if (!in.contains(required) || in.at(required).is_null())
            return invalid(std::format("{} is missing", required));

    CONSIGN_CHECK(read(in, "artifactType", out.artifact_type));
    CONSIGN_CHECK(read(in, "config", out.config));
    CONSIGN_CHECK(read(in, "layers", out.layers));
    CONSIGN_CHECK(read(in, "manifests", out.manifests));
    CONSIGN_CHECK(read(in, "subject", out.subject));
    std::optional<std::map<std::string, std::string>> annotations; // null is written by some tools
    CONSIGN_CHECK(read(in, "annotations", annotations));
    if (annotations) out.annotations = std::move(*annotations);
    CONSIGN_CHECK(check_all(out));
    return out;
}

ManifestBytes make_manifest(std::string_view artifact_type, Descriptor config, std::vector<Descriptor> layers,
                            std::map<std::string, std::string> annotations,
                            std::optional<Descriptor> subject) {
    auto out = json::Value::object();
    out["schemaVersion"] = 2;
    out["mediaType"] = media::kImageManifest;
    if (!artifact_type.empty()) out["artifactType"] = artifact_type;
    out["config"] = encode(config);
    out["layers"] = json::Value::array();
    for (const auto& layer : layers) out["layers"].push_back(encode(layer));
    if (subject) out["subject"] = encode(*subject);
    if (!annotations.empty()) out["annotations"] = annotations;

    ManifestBytes made;
    made.body = json::dump(out);
    made.descriptor.media_type = media::kImageManifest;
    made.descriptor.digest = Digest::sha256_of(made.body);
    made.descriptor.size = made.body.size();
    if (!artifact_type.empty()) made.descriptor.artifact_type = std::string(artifact_type);
    return made;
}

} // namespace consign::oci
